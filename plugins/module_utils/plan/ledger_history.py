"""How it came to be, from the ledger and from what hosts still have to say: rows for people, auditors and programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..model.gate import instant, subject_of
from ..model.ledger import Entry
from ..model.receipt import BEGUN
from ..model.statement import ACCEPTED, APPROVED, BREAK_GLASS, HAPPENED, VERIFIED, WITHDRAWN, Statement

IN_LEDGER, WAITING, ON_HOST = "ledger", "waiting", "host"


@dataclass(frozen=True)
class Wanted:
    """What is asked for. ``since`` is part of the period and ``until`` is not; ``last`` 0 is all of each stack."""

    environments: frozenset[str]
    stack: str = ""
    since: str = ""
    until: str = ""
    last: int = 0

    def has(self, row: Mapping[str, Any]) -> bool:
        """Whether a row is of that environment, stack and period. What has no time is in every period."""
        at, since, until = (instant(text) if text else None for text in (row["at"], self.since, self.until))
        early = at is not None and since is not None and at < since
        late = at is not None and until is not None and at >= until
        return row["environment"] in self.environments and self.stack in ("", row["stack"]) and not (early or late)


@dataclass(frozen=True)
class Told:
    """What hosts told: statements that wait, and events of their own history, each by the host's name."""

    waiting: Mapping[str, Sequence[Statement]] = field(default_factory=dict)
    events: Sequence[Mapping[str, Any]] = ()


def history(entries: Iterable[Entry], told: Told, wanted: Wanted) -> tuple[list[dict[str, Any]], int]:
    """Rows, the newest first, and how many were left out because only the last ones were asked for.

    An event is one row, whoever tells of it: the ledger before a host's spool, the spool before its own history. That
    a migration began is told where its end is not: it was cut off.
    """
    statements = [(entry.number, entry.signed.statement) for entry in entries]
    said = [one for _, one in statements]
    rows = [_row(one, said, kept=IN_LEDGER, entry=number) for number, one in statements]
    known = {one.id for one in said}
    for host, waiting in told.waiting.items():
        fresh = [one for one in waiting if one.id not in known]
        known |= {one.id for one in fresh}
        rows += [_row(one, said, kept=WAITING, host=host) for one in fresh]
    ended = {str(one.get("transaction")) for one in (*rows, *told.events) if one.get("outcome") not in (None, BEGUN)}
    rows += [
        _event(event)
        for event in told.events
        if event.get("statement", "") not in known
        and not (event.get("outcome") == BEGUN and str(event.get("transaction")) in ended)
    ]
    return _newest([row for row in rows if wanted.has(row)], wanted.last)


def _newest(rows: Iterable[dict[str, Any]], last: int) -> tuple[list[dict[str, Any]], int]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["environment"], row["stack"]].append(row)
    kept = [row for group in groups.values() for row in sorted(group, key=_when, reverse=True)[: last or None]]
    return sorted(kept, key=_when, reverse=True), sum(map(len, groups.values())) - len(kept)


def _when(row: Mapping[str, Any]) -> str:
    return str(row["at"] or "")


def _row(one: Statement, said: Sequence[Statement], *, kept: str, entry: int = 0, host: str = "") -> dict[str, Any]:
    happened = one.kind == HAPPENED
    details = {key: value for key, value in one.details.items() if key not in ("at", "host")}
    return {
        **details,
        "environment": one.environment,
        "host": host or (one.by if happened else ""),
        "stack": one.stack,
        "at": one.at,
        "action": details.get("action", one.kind) if happened else one.kind,
        "release": one.release,
        "digest": _digest(one.digests),
        "by": details.get("by") or one.by,
        "why": one.why,
        "approvals": _approvals(one, said) if happened else [],
        "verification": _verification(one, said) if happened else [],
        "statement": one.id,
        "kind": one.kind,
        "entry": entry or None,
        "kept": kept,
    }


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event of a host's own history, which the ledger does not know."""
    digests = event.get("digests")
    digest = _digest(digests) if isinstance(digests, Mapping) else ""
    return {**event, "at": event.get("at", ""), "digest": digest, "approvals": [], "verification": [], "kept": ON_HOST}


def _digest(digests: Mapping[str, str]) -> str:
    """The digest, where all services have the same; else each with the service's name."""
    if len(set(digests.values())) == 1:
        return next(iter(digests.values()))
    return ", ".join(f"{service}={digest}" for service, digest in sorted(digests.items()))


def _before(one: Statement, said: Iterable[Statement], *kinds: str) -> list[Statement]:
    """Statements of some kinds about the very same release that counted when it happened."""
    at = instant(one.at)
    withdrawn = {other.of for other in said if other.kind == WITHDRAWN and _by_then(other.at, at)}
    return [
        other
        for other in said
        if other.kind in kinds
        and subject_of(other) == subject_of(one)
        and _by_then(other.at, at)
        and other.id not in withdrawn
        and not (other.expires and _by_then(other.expires, at))
    ]


def _by_then(text: str, at: datetime | None) -> bool:
    moment = instant(text)
    return moment is not None and at is not None and moment <= at


def _approvals(one: Statement, said: Iterable[Statement]) -> list[str]:
    if one.details.get("action") == "roll_back":
        return []
    here = [other for other in _before(one, said, APPROVED, BREAK_GLASS) if other.environment == one.environment]
    return [f"{other.by}{' (broke the glass)' if other.kind == BREAK_GLASS else ''}" for other in here]


def _verification(one: Statement, said: Iterable[Statement]) -> list[str]:
    words = []
    for other in _before(one, said, VERIFIED, ACCEPTED):
        smoke = f"smoke {other.details['smoke']} by " if other.details.get("smoke") else "verified by "
        words.append(f"{smoke if other.kind == VERIFIED else 'accepted by '}{other.by} ({other.environment})")
    return words
