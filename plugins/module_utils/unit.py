"""What runs in our units on a host: ``release`` carries one through, ``watch`` watches it, ``tend`` mends what died.

Imports what it needs when it needs it: most of the times that ``tend`` runs there is nothing to do.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .gateway.host_state import Busy, HostState, now, utc
from .gateway.reserve import renew
from .gateway.told import Told, clear_requests
from .hurry import deaf
from .model.begun import Begun
from .model.errors import OpsError
from .model.receipt import DONE, STUCK, Receipt, Undone
from .report import Result, closing, failed, from_history, migrated

if TYPE_CHECKING:
    from .hands import Host

ENGINE_LIMIT_S = 90.0
RETRY_S = 1.0
# Priorities of syslog, as systemd reads them at the beginning of a line.
ALERT, WARNING, INFO = "<1>", "<4>", "<6>"


def main(argv: Sequence[str] | None = None) -> int:
    """The exit code of a unit."""
    deaf()
    command, *rest = sys.argv[1:] if argv is None else argv
    commands: Mapping[str, Callable[..., int]] = {"release": _release, "watch": _watch, "tend": _tend}
    try:
        return commands[command](*rest)
    except OpsError as error:
        say(ALERT, str(error))
        return 1


def kept_library(state: HostState) -> str:
    """Keep the code that runs now, this program included, as :func:`units.keep_library` does; its name."""
    from .units import keep_library  # noqa: PLC0415 - see above

    return keep_library(state).name


def say(priority: str, text: str) -> None:
    """A line for the journal of the host."""
    for line in text.splitlines():
        print(f"{priority}{line}", flush=True)


# -- a release ---------------------------------------------------------------------------------------------------------


def _release(stack: str, transaction: str) -> int:
    told = Told(stack, transaction)
    given = told.asked()
    try:
        result = _carried_out(told, given)
    except OpsError as error:
        say(WARNING, told.veiled(str(error)))
        if isinstance(error, Undone) and error.receipt.outcome == STUCK:
            told.tell({"cause": error.receipt.error})
            return 1  # what comes after this unit tries again, and tells the end
        result = failed(error)
    told.end(result)
    return 1 if result.get("failed") else 0


def _carried_out(told: Told, given: Mapping[str, Any]) -> Result:
    from .release import deploy, migrate, request_from, roll_back  # noqa: PLC0415 - see above

    host = hands(given["environment_name"], given["registry_auth"], told)
    request = request_from(host, given)
    if given["state"] == "migrated":
        ran, _ = migrate(host, request, given["release"])
        return migrated(ran, [])
    if given["state"] == "deployed":
        receipt, _ = deploy(host, request, given["release"], again=given["again"])
    else:
        receipt, _ = roll_back(host, request, steps=given["steps"], sha=given["release"])
    return closing(receipt) if receipt else {"changed": False, "display": []}


def hands(environment: str, registry_auth: str = "", told: Told | None = None) -> Host:
    """The hands of a host that are moved from within a unit."""
    from .gateway import library  # noqa: PLC0415 - see above
    from .hands import host_for  # noqa: PLC0415
    from .units import start_watch  # noqa: PLC0415

    host = host_for(environment, registry_auth)
    host.told = lambda entry: _hear(told, entry)
    host.transaction = told.transaction if told else ""
    host.library = Path(library.running_archive()).name
    host.start_watch = start_watch
    return host


def _hear(told: Told | None, entry: Mapping[str, Any]) -> None:
    if told:
        told.tell(entry)
        entry = told.veiled(entry)
    text = entry.get("say") or f"{entry.get('step')}: {entry.get('event')} {entry.get('error', '')}".rstrip()
    say(INFO, str(text))


# -- what died ---------------------------------------------------------------------------------------------------------


def _tend(stack: str = "", transaction: str = "") -> int:
    """One stack, after the unit of a transaction of its; or all of them, at a boot and every minute."""
    if stack:
        return _put_right(stack, Told(stack, transaction) if transaction else None)
    clear_requests()
    state = HostState()
    renew(state.root)
    return max([0, *[_tend_one(state, name) for name in state.stacks()]])


def _tend_one(state: HostState, stack: str) -> int:
    """All that a stack needs. Whatever goes wrong with it stops neither the rest of it nor the other stacks."""
    needs: tuple[Callable[[], int], ...] = (
        lambda: _put_right(stack, None),
        lambda: _end_windows(state, stack),
        lambda: _watch_on(state, stack),
    )
    return max(_tried(stack, need) for need in needs)


def _tried(stack: str, need: Callable[[], int]) -> int:
    try:
        return need()
    except Busy:  # whoever holds the stack mends it first; the next minute looks again
        return 0
    except Exception as error:  # noqa: BLE001 - a fault in what a stack left must not keep the others waiting
        say(ALERT, str(error) if isinstance(error, OpsError) else f"{stack}: {type(error).__name__}: {error}")
        return 1


def _end_windows(state: HostState, stack: str) -> int:
    """End what has had its time: old assets, a standby. Where somebody changes the stack now, the next minute does."""
    from .gateway.edge import EdgeFiles  # noqa: PLC0415 - see above
    from .windows import end_windows, has_ended  # noqa: PLC0415

    try:
        if has_ended(state, EdgeFiles(), stack):
            with state.locked(stack, "the end of what a switch left for a time"):
                say(INFO, "\n".join(end_windows(hands(""), stack)))
    except Busy:  # no reason to say anything: the next minute does it
        return 0
    except OpsError as error:
        say(WARNING, f"{error}; tried again in a minute")
    return 0


def _put_right(stack: str, own: Told | None) -> int:
    """Bring to rest what died; after a unit its ``own`` transaction alone, which is tried for a while.

    Whoever holds the stack's lock is at work on it, and mends it first: that is no failure.
    """
    state = HostState()
    deadline = time.monotonic() + (ENGINE_LIMIT_S if own else 0.0)
    while (begun := state.begun(stack)) and (own is None or begun.id == own.transaction):
        told = own or Told(stack, begun.id)
        try:
            receipt = _settled(state, begun, told)
        except OpsError as error:
            busy = isinstance(error, Busy)
            if time.monotonic() >= deadline:
                say(INFO if busy else ALERT, str(error) if busy else f"{error}; tried again by seisei-tend.timer")
                return 0 if busy else 1
            time.sleep(RETRY_S)
        else:
            if receipt:
                _tell_settled(receipt, told)
            if receipt and state.begun(stack):
                say(ALERT, f"{stack}: how it ended cannot be written down; tried again by seisei-tend.timer")
                return 1
    if own and not own.has_ended():  # it died before it began, or after it had told history
        events = state.told_of(stack, own.transaction)
        own.end(from_history(stack, events[-1] if events else {}))
    return 0


def _settled(state: HostState, begun: Begun, told: Told) -> Receipt | None:
    """What it came to; None when somebody else brought it to rest in the meantime."""
    with state.locked(begun.stack, f"mending of the {begun.action} that was cut off"):
        if state.begun(begun.stack) != begun:
            return None
        from .tend import tend  # noqa: PLC0415 - see above

        host = hands(begun.environment, told=told)
        return tend(host, begun.stack, next((str(entry["cause"]) for entry in told.since(0) if "cause" in entry), ""))


def _tell_settled(receipt: Receipt, told: Told) -> None:
    from .tend import told as in_words  # noqa: PLC0415 - see above

    words = in_words(receipt)
    say(WARNING, "\n".join(words))
    if receipt.outcome == DONE:
        result = closing(receipt)
        told.end({**result, "display": [*words, *result["display"]]})
    else:
        cause = OpsError(
            f"{receipt.error}; it was undone, and what was live before serves",
            where=f"{receipt.stack} {receipt.release}",
            do="look at the host's journal for what killed it, then run the same again",
        )
        told.end(failed(Undone(cause, receipt)))


# -- the watch ---------------------------------------------------------------------------------------------------------


def _watch(stack: str) -> int:
    from .watch import Watch  # noqa: PLC0415 - see above

    watched = HostState().watched(stack)
    if watched is None:
        return 0
    say(INFO, f"{stack}: release {watched.number} is watched until {watched.until}")
    Watch(hands(watched.environment), watched, lambda text: say(ALERT if "taken back" in text else INFO, text)).run()
    return 0


def _watch_on(state: HostState, stack: str) -> int:
    """Take a watch up again whose process died, or whose host was restarted."""
    watched = state.watched(stack)
    if watched is None:
        return 0
    if utc(now()) >= utc(watched.until):
        state.unwatch(stack)
        return 0
    from .units import start_watch  # noqa: PLC0415 - see above

    start_watch(watched)
    return 0
