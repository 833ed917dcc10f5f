"""How a transaction ended, told once: to history whichever way it was, to the ledger when it is final."""

from __future__ import annotations

from collections.abc import Collection

from .hands import Host
from .model.begun import Begun
from .model.errors import OpsError
from .model.receipt import DONE, STUCK, UNDONE, Receipt
from .model.release import Release

FINAL = (DONE, UNDONE)


def is_told(host: Host, begun: Begun, outcomes: Collection[str]) -> bool:
    """Whether history has such an end of it already: its process may have died between that and saying so."""
    return any(event.get("outcome") in outcomes for event in host.state.told_of(begun.stack, begun.id))


def tell_end(host: Host, release: Release, begun: Begun, receipt: Receipt) -> None:
    """Write its end into history, once; say it to the ledger when it is final. One that is stuck is tried again.

    Raises OpsError when it cannot be written.
    """
    if is_told(host, begun, FINAL if receipt.outcome in FINAL else (*FINAL, receipt.outcome)):
        return
    said = {"by": begun.by, "why": begun.why, "digests": release.digests}
    condemned = {"condemns": list(begun.condemns)} if begun.condemns else {}
    event = {**receipt.as_dict(), **said, **begun.allowed, **condemned}
    if receipt.outcome == STUCK:
        host.state.tell(release.stack, event)
    else:
        receipt.warnings += host.tell(release, event)


def end_for_another(host: Host, follower: Begun) -> str:
    """Tell how one that is stuck ended, before another takes its place: nobody would come upon it again.

    Returns what is to be told where that cannot be written, else nothing.
    """
    left = host.state.begun(follower.stack)
    if left is None or left.id == follower.id:
        return ""
    try:
        release, live = host.state.record(left.stack, left.number), host.state.state(left.stack).live
        receipt = Receipt(
            left.action, left.stack, release.release, left.number, left.before.live, transaction=left.id
        )  # fmt: skip
        receipt.outcome = DONE if live == left.number else UNDONE
        receipt.error = f"it was cut off, and put right by the {follower.action} that came after it"
        tell_end(host, release, left, receipt)
    except OpsError as error:
        return f"how the {left.action} before it ended cannot be told: {error}"
    return ""
