"""How it came to be, from the ledger and from what hosts still have to say: rows for people, auditors and programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..model.gate import instant
from ..model.ledger import Entry
from ..model.statement import ACCEPTED, APPROVED, BREAK_GLASS, HAPPENED, REQUESTED, VERIFIED, Statement

IN_LEDGER, WAITING, ON_HOST = "ledger", "waiting", "host"
_SAID = "said"  # the statement of a row, while it is put together


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


Faults = Callable[[Sequence[tuple[Statement, str]]], Sequence[str]]
"""Why signatures do not count, in order, empty where one does: of a statement, by the signers of an environment."""


@dataclass(frozen=True)
class Found:
    """Rows, the newest first. ``left_out`` are older ones, ``unsigned`` what does not count by its signature."""

    rows: Sequence[dict[str, Any]]
    left_out: int = 0
    unsigned: int = 0


def history(entries: Iterable[Entry], told: Told, wanted: Wanted, faults: Faults) -> Found:
    """How it came to be, of what is told with a signature that counts.

    An event is one row, whoever tells of it: the ledger before a host's spool, the spool before its own history.
    Signatures are looked at of what is shown, and of what that names: to look takes a process.
    """
    statements = [(entry.number, entry.signed.statement) for entry in entries]
    trust = _Trust(faults)
    while True:
        rows = [_row(one, kept=IN_LEDGER, entry=number) for number, one in statements if not trust.refuses(one)]
        known = {row["statement"] for row in rows}
        for host, waiting in told.waiting.items():
            fresh = [one for one in waiting if one.id not in known and not trust.refuses(one)]
            known |= {one.id for one in fresh}
            rows += [_row(one, kept=WAITING, host=host) for one in fresh]
        rows += [_event(event) for event in told.events if event.get("statement", "") not in known]
        shown, left_out = _newest([row for row in rows if wanted.has(row)], wanted.last)
        said = [row[_SAID] for row in shown if row["kept"] != ON_HOST]
        if not trust.ask([(one, one.environment) for one in said]):  # else others move up into their places
            break
    everything = [*(one for _, one in statements), *(one for theirs in told.waiting.values() for one in theirs)]
    by_id = {one.id: one for one in reversed(everything)}  # of several the first: a later one was slipped in
    _name_who_allowed(shown, by_id, trust)
    return Found([{key: value for key, value in row.items() if key != _SAID} for row in shown], left_out, trust.refused)


class _Trust:
    """What is known of signatures by now. One that nobody has looked at counts, until somebody does."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._known: dict[tuple[str, str], str] = {}

    def ask(self, asked: Iterable[tuple[Statement, str]]) -> bool:
        """Look at those that nobody has looked at; whether one of them does not count."""
        fresh = {(one.text(), where): (one, where) for one, where in asked}
        fresh = {key: question for key, question in fresh.items() if key not in self._known}
        answers = dict(zip(fresh, self._faults(list(fresh.values())), strict=True)) if fresh else {}
        self._known |= answers
        return any(answers.values())

    def refuses(self, one: Statement, where: str = "") -> bool:
        """Whether its signature was looked at and does not count."""
        return bool(self._known.get((one.text(), where or one.environment)))

    @property
    def refused(self) -> int:
        """How many statements do not count."""
        return len({text for (text, _), fault in self._known.items() if fault})


def _name_who_allowed(rows: Iterable[dict[str, Any]], said: Mapping[str, Statement], trust: _Trust) -> None:
    """Fill in who asked with a signature, allowed and verified, as the host found it that let the release through."""
    named = [(row, _named(row, said)) for row in rows]
    # Its gate judged all of them by the signers of its own environment.
    trust.ask([(one, row["environment"]) for row, ones in named for one in ones])
    for row, ones in named:
        good = [one for one in ones if not trust.refuses(one, row["environment"])]
        asked = next((one for one in good if one.kind in (REQUESTED, BREAK_GLASS)), None)
        row.update({"request": asked.id, "by": asked.by} if asked else {})
        row["approvals"] = [_approval(one) for one in good if one.kind in (APPROVED, BREAK_GLASS)]
        row["verification"] = [_verification(one) for one in good if one.kind in (VERIFIED, ACCEPTED)]


def _named(row: Mapping[str, Any], said: Mapping[str, Statement]) -> list[Statement]:
    """What the host relied on, where it is about the very same release."""
    ids = row.get("relied_on") if row.get("kind", HAPPENED) == HAPPENED else ()
    found = [said[one] for one in ids if one in said] if isinstance(ids, (list, tuple)) else []
    release = (row.get("stack"), row.get("release"), row.get("digests"))
    return [one for one in found if (one.stack, one.release, dict(one.digests)) == release]


def _approval(one: Statement) -> str:
    return f"{one.by} (broke the glass)" if one.kind == BREAK_GLASS else one.by


def _verification(one: Statement) -> str:
    smoke = f"smoke {one.details['smoke']} by " if one.details.get("smoke") else "verified by "
    return f"{smoke if one.kind == VERIFIED else 'accepted by '}{one.by} ({one.environment})"


def _newest(rows: Iterable[dict[str, Any]], last: int) -> tuple[list[dict[str, Any]], int]:
    groups: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["environment"], row["stack"]].append(row)
    kept = [row for group in groups.values() for row in sorted(group, key=_when, reverse=True)[: last or None]]
    return sorted(kept, key=_when, reverse=True), sum(map(len, groups.values())) - len(kept)


def _when(row: Mapping[str, Any]) -> str:
    return str(row["at"] or "")


def _row(one: Statement, *, kept: str, entry: int = 0, host: str = "") -> dict[str, Any]:
    happened = one.kind == HAPPENED
    details = {key: value for key, value in one.details.items() if key not in ("at", "host", "request")}
    return {
        **details,
        "environment": one.environment,
        "host": host or (one.by if happened else ""),
        "stack": one.stack,
        "at": one.at,
        "action": details.get("action", one.kind) if happened else one.kind,
        "release": one.release,
        "digests": dict(one.digests),
        "digest": _digest(one.digests),
        "by": details.get("by") or one.by,
        "why": one.why,
        "statement": one.id,
        "kind": one.kind,
        "entry": entry or None,
        "kept": kept,
        _SAID: one,
    }


def _event(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event of a host's own history, which the ledger does not know."""
    digests = event.get("digests")
    digest = _digest(digests) if isinstance(digests, Mapping) else ""
    return {**event, "at": event.get("at", ""), "digest": digest, "kept": ON_HOST}


def _digest(digests: Mapping[str, str]) -> str:
    """The digest, where all services have the same; else each with the service's name."""
    if len(set(digests.values())) == 1:
        return next(iter(digests.values()))
    return ", ".join(f"{service}={digest}" for service, digest in sorted(digests.items()))
