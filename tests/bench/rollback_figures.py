"""How long a return takes, told from a journal and from what visitors saw of the release. Pure.

Times are seconds of the load unless a name says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from tests.bench.load_figures import Sample

AIMS = {"manual_s": 5.0, "flip_ms": 500.0, "auto_s": 2.0, "deploy_s": 20.0}
MEANINGS = {
    "manual_s": "roll_back.yml, the whole command with its drain",
    "flip_ms": "decision on the host to the last request that still went to the release that is left",
    "flip_told_ms": "the same by the transaction's own receipt",
    "auto_s": "smoke tests through the edge, one of which fails, to the last visitor who met that release",
    "auto_told_s": "the same by the journal",
    "deploy_s": "deploy.yml typed, image in the registry alone, to all visitors on the new release",
    "deploy_command_s": "deploy.yml, the whole command with its drain",
}


def moment(journal: Iterable[Mapping[str, Any]], step: str, event: str) -> float:
    """When the journal, whose entries have ``at`` in seconds of the load, says this. Raises LookupError."""
    for entry in journal:
        if entry.get("step") == step and entry.get("event") == event:
            return float(entry["at"])
    raise LookupError(f"the journal does not say '{step}' {event}")


def last_met(samples: Iterable[Sample], release: str, since: float) -> float:
    """When the last request left that this release answered, of those that left after ``since``; else ``since``."""
    return max((one.at + one.late for one in samples if one.release == release and one.at + one.late > since),
               default=since)  # fmt: skip


def first_met(samples: Iterable[Sample], release: str, since: float) -> float:
    """When the first request left that this release answered, of those after ``since``. Raises LookupError."""
    found = [one.at + one.late for one in samples if one.release == release and one.at + one.late > since]
    if not found:
        raise LookupError(f"nobody met {release}")
    return min(found)


def summary(rows: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: round(median(values), 3) for name, values in rows.items() if values}


def aims(figures: Mapping[str, float]) -> list[dict[str, Any]]:
    """What the figures are held against."""
    return [
        {"aim": f"{name} <= {limit:g}", "figure": figures[name], "holds": figures[name] <= limit}
        for name, limit in AIMS.items()
    ] + [{"aim": "failed = 0", "figure": figures["failed"], "holds": figures["failed"] == 0}]


def table(figures: Mapping[str, Any], rows: Mapping[str, Sequence[float]]) -> list[str]:
    """The figures for people."""
    lines = [
        f"{name:<17} {figures[name]:9.3f}  {min(rows[name]):.3f} - {max(rows[name]):.3f}  {meaning}"
        for name, meaning in MEANINGS.items()
    ]
    held = [f"{'holds ' if aim['holds'] else 'MISSED'}  {aim['aim']} ({aim['figure']})" for aim in figures["aims"]]
    return [*lines, "", f"{figures['requests']:,} requests meanwhile, {figures['failed']:,} failed", "", *held]
