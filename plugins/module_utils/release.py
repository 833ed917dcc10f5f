"""Deploy and roll back on this host: lock, mend what died, decide, and hand over to the transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .apply import new_release, stand_ready
from .gateway.engine import TaskResult
from .gateway.host_state import now
from .hands import Host, wanted_from
from .hurry import locked_soon
from .model.begun import Begun
from .model.container import ObservedContainer
from .model.errors import OpsError
from .model.host import WantedStack
from .model.receipt import BEGUN, MIGRATED, NOT_MIGRATED, Receipt
from .model.release import Release, StackState
from .model.stack import Stack
from .model.words import one_word
from .plan.hardening import CHECKS, loosened
from .plan.release import known_bad, live_since, rollback_target, same_release, why_bad, with_secrets_at_hand
from .plan.steps import ACCESSORY, GROUND, LEFTOVER, ROUTE
from .preparing import last_lines, migration_of, must_be_done, run_migration
from .rollback import warned_of_schema
from .tend import tend, tend_to_go_back, told
from .transaction import Transaction
from .vouching import vouch, vouches


@dataclass(frozen=True)
class Request:
    """Who asks for what, and why; ``secrets`` are the values by name, ``allowed`` what the host's gate found, and
    ``migrates`` has a deploy run the release's migrations first."""

    wanted: WantedStack
    secrets: Mapping[str, str]
    by: str = ""
    why: str = ""
    allowed: Mapping[str, Any] = field(default_factory=dict)
    migrates: bool = False

    @property
    def stack(self) -> Stack:
        """The declared stack."""
        return self.wanted.stack


def request_from(host: Host, given: Mapping[str, Any]) -> Request:
    """A request as the controller's action filled it in.

    Who asks is whose signature the gate of this host found, where it has one: what a controller says of its user comes
    out of that user's own surroundings.
    """
    gate = given.get("gate") or {}
    return Request(
        wanted=wanted_from(host, given["entry"], given["secrets"]),
        secrets=given["secrets"],
        by=one_word(str(gate.get("requester") or given["requested_by"])),
        why=given.get("reason", ""),
        allowed=gate,
        migrates=bool(given.get("migrate")),
    )


def deploy(
    host: Host, request: Request, sha: str, *, again: bool = False, rehearse: bool = False
) -> tuple[Receipt | None, list[str]]:
    """Bring a stack to a release. Returns the receipt (None when there was nothing to do) and what was said.

    ``again`` also takes a release that was taken back before. Raises OpsError with the old release serving as before.
    """
    name = request.stack.name
    candidate = new_release(host, request.wanted, sha, request.wanted.digests, by=request.by, why=request.why)
    live = _live(host, name)
    if same_release(live, candidate) and not _of_another_file(live, candidate):
        said = _say(host, f"{name} is at {sha} already, with this digest and definition")
        if request.migrates:
            said += _say(host, "  warning: nothing was migrated; migrate.yml brings the schema to what it needs")
        return None, [*said, *([] if rehearse else _vouched_again(host, candidate, request))]
    if not again:
        _refuse_bad(host, candidate)
    digests = ", ".join(sorted(candidate.digests.values()))
    said = _say(host, f"{name}: {live.release if live else 'nothing'} -> {sha} ({digests})")
    if request.migrates:
        said += _say(host, f"  its migrations are run first: {' '.join(migration_of(request.stack).command)}")
    if rehearse:
        return Receipt("deploy", name, sha, candidate.number, live.number if live else 0, outcome="rehearsed"), said
    with host.state.locked(name, f"deploy of {sha} by {request.by}"):
        said += _tend(host, name)
        said += _stand_ready(host, request, (GROUND, ACCESSORY, ROUTE, LEFTOVER))
        # Counted under the lock: another deploy may have taken the number meanwhile.
        release = new_release(host, request.wanted, sha, request.wanted.digests, by=request.by, why=request.why)
        host.state.add_record(release)
        transaction = Transaction(
            host, release, action="deploy", by=request.by, why=request.why, allowed=request.allowed,
            migrates=request.migrates,
        )  # fmt: skip
        return transaction.run(), said


def _of_another_file(live: Release | None, candidate: Release) -> bool:
    """Whether what runs is recorded as of another stack file, and matters as that: people accept what is on record."""
    known = live.stack_file if live else ""
    return candidate.stack_file not in ("", known) and vouches()


def _vouched_again(host: Host, release: Release, request: Request) -> list[str]:
    """Where releases are verified, the live one is tested and vouched for anew: its last word may be lost or old."""
    if not vouches():
        return []
    smoke = Transaction(host, release, action="verify", by=request.by, why=request.why).smoke_again()
    return _say(host, *vouch(host, release, smoke))


def roll_back(
    host: Host, request: Request, *, steps: int = 1, sha: str = "", rehearse: bool = False
) -> tuple[Receipt | None, list[str]]:
    """Return a stack to an earlier release, as it was recorded. Returns and raises as :func:`deploy`."""
    name = request.stack.name
    live = _live(host, name)
    if live is None:
        raise OpsError(f"stack '{name}' has no release here", do="deploy one first")
    if sha and live.release.startswith(sha):
        return None, _say(host, f"{name} is at {live.release} already")
    under_way = host.state.begun(name)
    if rehearse:
        if _goes_no_further(host, under_way, sha):
            return None, _say(host, f"{name}: a deploy goes on or was cut off; where it died it is undone, and no more")
        target, said = _back_from(host, live, steps, sha)
        return Receipt("roll_back", name, target.release, target.number, live.number, outcome="rehearsed"), said
    with locked_soon(host, name, f"rollback of {live.release} by {request.by}"):
        # Neither registry nor secrets store is needed for what follows: a rollback works when they are away.
        said = _say(host, *tend_to_go_back(host, name))
        if _live(host, name) != live:
            raise OpsError(
                f"another release of '{name}' went live in the meantime", do="look at status.yml, then decide again"
            )
        if _goes_no_further(host, under_way, sha):
            back = f"{name}: what was being deployed is undone, and {live.release} serves"
            return None, [*said, *_say(host, f"{back}; run this again to go further back")]
        target, lines = _back_from(host, live, steps, sha)
        said += [*lines, *_say(host, *warned_of_schema(host, live, target))]
        said += _stand_ready(host, request, (ROUTE, LEFTOVER), spared=(LEFTOVER,))
        target = startable(host, target, live)
        return Transaction(host, target, action="roll_back", by=request.by, why=request.why).run(), said


def startable(host: Host, target: Release, live: Release) -> Release:
    """The target, or where a secret was rotated since, a record of its own: the same release with today's value."""
    present = host.secrets.present().get(target.stack, frozenset())
    found = with_secrets_at_hand(target, present, live.secrets)
    if found == target:
        return target
    number = host.state.next_number(target.stack)
    found = replace(found, number=number, of=target.origin, created_at=now())
    host.state.add_record(found)
    return found


def _back_from(host: Host, live: Release, steps: int, sha: str) -> tuple[Release, list[str]]:
    """What the live release is left for, and what is said to that."""
    name = live.stack
    state, history = host.state.state(name), host.state.history(name)
    target = rollback_target(host.state.records(name), state, history, steps=steps, release=sha)
    how = f"release {target.number}, {'warm' if host.runtime.is_up(target) else 'to be started'}"
    said = [f"{name}: {live.release} -> {target.release} ({how})"]
    if target.number in state.bad:
        said.append(f"  warning: {target.release} was taken back here before: {why_bad(history, target.number)}")
    return target, _say(host, *said)


def _goes_no_further(host: Host, under_way: Begun | None, sha: str) -> bool:
    """Whether a rollback that names no release came upon a deploy that has not gone live: it is left by undoing it."""
    if under_way is None or sha or under_way.action != "deploy":
        return False
    return host.state.state(under_way.stack).live != under_way.number


def migrate(host: Host, request: Request, sha: str, *, rehearse: bool = False) -> tuple[TaskResult | None, list[str]]:
    """Run the schema migration of a release (the live one's when ``sha`` is empty) in a container of its own.

    The live release is not touched, whatever happens. Raises OpsError with the migration's last lines when it fails.
    """
    name = request.stack.name
    migration = migration_of(request.stack)
    release = new_release(host, request.wanted, sha, request.wanted.digests, by=request.by, why=request.why)
    said = _say(host, f"{name}: {' '.join(migration.command)} in {sha}")
    if rehearse:
        return None, said
    with host.state.locked(name, f"migration to {sha} by {request.by}"):
        said += _stand_ready(host, request, (GROUND, ACCESSORY))
        host.runtime.fetch(release)
        event: dict[str, Any] = {"action": "migrate", "transaction": host.transaction, "release": sha}
        event |= {"by": request.by, "why": request.why, **request.allowed}
        # Of one whose process is killed nothing else tells, and its container may run on.
        host.state.tell(name, {**event, "outcome": BEGUN})
        try:
            result = run_migration(host, release, migration)
        except OpsError as error:
            host.tell(release, {**event, "outcome": NOT_MIGRATED, "error": str(error)})
            raise
        outcome = MIGRATED if result.exit_code == 0 else NOT_MIGRATED
        event |= {"outcome": outcome, "seconds": round(result.seconds, 3), "error": last_lines(result)}
        said += _say(host, *(f"  warning: {warning}" for warning in host.tell(release, event)))
    must_be_done(result, release)
    return result, said


def _tend(host: Host, name: str) -> list[str]:
    return _say(host, *told(tend(host, name)))


def _stand_ready(host: Host, request: Request, parts: tuple[str, ...], *, spared: tuple[str, ...] = ()) -> list[str]:
    # Never CHANGE: a database that runs is not replaced in passing. That is converge's, where the plan is read first.
    return _say(host, *stand_ready(host, request.wanted, request.secrets, parts, spared))


def _say(host: Host, *lines: str) -> list[str]:
    for line in lines:
        host.told({"say": line})
    return list(lines)


def _refuse_bad(host: Host, candidate: Release) -> None:
    name = candidate.stack
    state, history = host.state.state(name), host.state.history(name)
    if found := known_bad(host.state.records(name), state, history, candidate):
        raise OpsError(
            f"{found.release} was taken back here before (release {found.number}): {why_bad(history, found.number)}",
            where=name,
            do="deploy a mended release; if the cause lay elsewhere and is gone, run this again with -e again=true",
        )


def status(host: Host, stack: Stack) -> dict[str, Any]:
    """What runs of a stack, as one row of a table."""
    name = stack.name
    state = host.state.state(name)
    live = _live(host, name)
    found = host.engine.containers(stack=name).values()
    serving = {
        c.name: c.health or ("running" if c.running else "stopped") for c in found if c.number in (0, state.live)
    }
    return {
        "stack": name,
        "summary": stack.ops.summary,
        "release": live.release if live else "",
        "digest": live.digests[stack.ops.releases[0]] if live else "",
        "digests": dict(live.digests) if live else {},
        "stack_file": live.stack_file if live else "",
        "number": state.live,
        "since": live_since(host.state.history(name), state.live),
        "health": _health(stack, serving),
        "standby": host.state.record(name, state.standby).release if state.standby else "",
        "bad": ", ".join(_bad(host, name, state)),
        **_looseness(found),
    }


def _bad(host: Host, name: str, state: StackState) -> list[str]:
    """The releases that were taken back, each once, the newest first; one that serves now is not bad any more."""
    records = {record.number: record.release for record in host.state.records(name)}
    found = dict.fromkeys(records[number] for number in sorted(state.bad, reverse=True) if number in records)
    return [release for release in found if release != records.get(state.live)]


def events(host: Host, name: str, most: int) -> list[dict[str, Any]]:
    """The newest events of a stack, newest first; ``most`` 0 means all."""
    return list(reversed(host.state.history(name)[-most:]))


def _health(stack: Stack, states: Mapping[str, str]) -> str:
    bad = sorted(f"{name} {state}" for name, state in states.items() if state not in ("healthy", "running"))
    if bad:
        return ", ".join(bad)
    return "healthy" if len(states) >= len(stack.services) else "missing containers"


def _looseness(found: Iterable[ObservedContainer]) -> dict[str, Any]:
    """Where containers are looser than the CIS benchmark: its items, each once and in its order, and what was seen."""
    findings = [
        (one.name, finding) for one in sorted(found, key=lambda one: one.name) for finding in loosened(one.told)
    ]
    items = {finding.item for _, finding in findings}
    return {
        "loosened": ", ".join(item for item in CHECKS if item in items),
        "findings": [{"container": name, "item": finding.item, "what": finding.what} for name, finding in findings],
    }


def _live(host: Host, name: str) -> Release | None:
    state = host.state.state(name)
    return host.state.record(name, state.live) if state.live else None
