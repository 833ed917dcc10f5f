"""What a plan is: steps with their reasons, in an order; as lines for a person and as data for a machine."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

GROUND, ACCESSORY, CHANGE, LIVE, ROUTE, LEFTOVER, FIRST = (
    "ground",
    "accessory",
    "change",
    "live",
    "route",
    "leftover",
    "first",
)

EDGE_READY = frozenset({"await edge-traefik"})
"""What a step waits for that asks the edge."""

WITH_ITS_DATA = "with its data"
"""The detail of a removal of a container that takes its unnamed volumes along."""


@dataclass(frozen=True)
class Step:
    """One thing to do, why, and after which other steps. ``detail`` is what the doing needs; it is never printed.

    ``part`` says what it is for: GROUND (networks, volumes, files), ACCESSORY (one that is missing or stopped), CHANGE
    (what runs, but is not as declared), LIVE (containers of the live release), ROUTE, LEFTOVER (of a release or a
    replacement that did not finish) or FIRST (the first release of a host).
    """

    action: str
    target: str
    reason: str
    stack: str
    part: str
    service: str = ""
    after: frozenset[str] = frozenset()
    detail: Any = field(default=None, repr=False, compare=False)

    @property
    def id(self) -> str:
        """Unique within a plan."""
        return f"{self.action} {self.target}"

    def __str__(self) -> str:
        return f"{self.stack}{'/' if self.service else ''}{self.service}: {self.id} ({self.reason})"

    def as_dict(self) -> dict[str, Any]:
        """For machines: everything but the detail."""
        words = {name: getattr(self, name) for name in ("stack", "service", "action", "target", "reason", "part")}
        return {**words, "after": sorted(self.after)}


@dataclass(frozen=True)
class Plan:
    """Steps in an order that respects ``after``.

    ``notes`` are for the reader and change nothing: what a person has to see to. ``pending`` are notes too: what was
    declared, and waits to be rolled out.
    """

    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.steps)

    def only(self, parts: Collection[str]) -> Plan:
        """The steps for some parts; they no longer wait for the others."""
        return plan_of(step for step in self.steps if step.part in parts)

    def lines(self) -> list[str]:
        """The plan as an operator reads it."""
        return [*map(str, self.steps), *(f"note: {note}" for note in (*self.notes, *self.pending))]


def plan_of(steps: Iterable[Step], notes: Iterable[str] = (), pending: Iterable[str] = ()) -> Plan:
    """A plan of these steps, each said once. Waiting for a step that is not among them means: it is done already."""
    found: dict[str, Step] = {}
    for step in steps:
        found.setdefault(step.id, step)
    ordered = (replace(step, after=step.after & found.keys()) for step in found.values())
    return Plan(tuple(ordered), tuple(dict.fromkeys(notes)), tuple(pending))
