"""What is tried: every fault at every step of a deploy and of a rollback; and what came of it. Pure."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from statistics import median
from typing import Any

DEPLOY, ROLL_BACK = "deploy", "roll_back"
Point = tuple[str, str]

FAULTS = {
    "transaction": "the process that carries the release through is killed (SIGKILL)",
    "controller": "ansible-playbook is killed (SIGKILL)",
    "connection": "SSH between controller and host is cut and stays cut",
    "engine": "the container engine is killed (SIGKILL) and comes back",
    "host": "the host loses power and starts again",
    "disk": "the disk under /var/lib/seisei is full for a while",
    "registry": "the registry is gone for a while",
    "storage": "the object storage is gone for a while, for host and controller",
}
SPARING = frozenset({"transaction", "controller", "connection", "disk", "registry", "storage"})
"""Faults that leave engine and host up: no request may fail."""
HARMLESS = frozenset({"controller", "connection", "storage"})
"""Faults that a transaction under way has nothing to do with: it is carried through all the same."""


@dataclass(frozen=True)
class Cell:
    """One case: ``fault`` strikes while ``action`` stands still at this event of this step."""

    fault: str
    action: str
    step: str
    event: str

    @property
    def key(self) -> str:
        """Its name in results and on the command line."""
        return f"{self.fault} / {self.action} / {self.step} / {self.event}"


def points_of(journal: Iterable[Mapping[str, Any]]) -> list[Point]:
    """The steps of a transaction as its journal told them: each event once, in order."""
    told = ((str(entry["step"]), str(entry["event"])) for entry in journal if "step" in entry and "event" in entry)
    return list(dict.fromkeys(told))


def cells(points: Mapping[str, Sequence[Point]], faults: Iterable[str] = tuple(FAULTS)) -> list[Cell]:
    """The whole matrix. A deploy and a rollback by turns, since a rollback needs something to go back from."""
    return [
        Cell(fault, action, *point)
        for fault in faults
        for pair in zip_longest(points.get(DEPLOY, ()), points.get(ROLL_BACK, ()))
        for action, point in zip((DEPLOY, ROLL_BACK), pair, strict=True)
        if point is not None
    ]


def chosen(every: Iterable[Cell], only: Iterable[str]) -> list[Cell]:
    """The cells that all of the words fit: ``fault=engine``, ``step=switch`` (a part of it), ``action=deploy``, ….

    Raises ValueError for a word that is not of that kind.
    """
    wanted = []
    for word in only:
        name, equals, value = word.partition("=")
        if not equals or name not in Cell.__dataclass_fields__:
            raise ValueError(f"'{word}' is not one of fault=…, action=…, step=…, event=…")
        wanted.append((name, value))
    return [cell for cell in every if all(value in getattr(cell, name) for name, value in wanted)]


def sample(every: Sequence[Cell], count: int) -> list[Cell]:
    """So many cells, drawn at random but the same every time, in their order."""
    drawn = random.Random(count).sample(range(len(every)), min(count, len(every)))
    return [every[place] for place in sorted(drawn)]


def summary(rows: Sequence[Mapping[str, Any]], total: int) -> dict[str, Any]:
    """How many of the whole matrix passed, what went wrong how often, and how long recovery took, fault by fault."""
    recoveries: dict[str, list[float]] = {}
    for row in rows:
        if row.get("recovery_s") is not None:
            recoveries.setdefault(row["fault"], []).append(row["recovery_s"])
    wrong = Counter(f"{row['fault']}: {words}" for row in rows for words in row["wrong"])
    return {
        "passed": sum(not row["wrong"] for row in rows),
        "total": total,
        "tried": len(rows),
        "requests": sum(row.get("requests", 0) for row in rows),
        "failed_requests": sum(row.get("failed", 0) for row in rows if row["fault"] in SPARING),
        "recovery_s": {
            fault: {"median": round(median(found), 2), "max": max(found)} for fault, found in recoveries.items()
        },
        "wrong": dict(wrong.most_common()),
    }


def table(rows: Sequence[Mapping[str, Any]], told: Mapping[str, Any]) -> list[str]:
    """The summary for people."""
    lines = [f"{'fault':<12} {'passed':>9}  recovery (median, longest)  requests failed"]
    for fault, meaning in FAULTS.items():
        of_it = [row for row in rows if row["fault"] == fault]
        if of_it:
            passed = sum(not row["wrong"] for row in of_it)
            took = told["recovery_s"].get(fault, {"median": 0.0, "max": 0.0})
            failed = sum(row.get("failed", 0) for row in of_it)
            lines.append(f"{fault:<12} {passed:>4}/{len(of_it):<4}  {took['median']:6.1f} s {took['max']:6.1f} s"
                         f"          {failed:>6}  {meaning}")  # fmt: skip
    lines += [f"  {count:>3} times  {words}" for words, count in told["wrong"].items()]
    lines.append(f"{told['passed']} of {told['total']} passed; {told['tried']} tried")
    return lines
