"""Decide what a host needs: from what is wanted and what was observed to steps with reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..model.host_setup import Directory, File, FollowUp, HostState, Link, ObservedHost, ObservedPath, Unit

NOT_THERE = "it is not there"


@dataclass(frozen=True)
class HostStep:
    """``action``: make, link, place, follow_up, mask, enable, start or reload."""

    action: str
    subject: Directory | Link | File | FollowUp | Unit
    reason: str

    def __str__(self) -> str:
        subject = self.subject
        if isinstance(subject, FollowUp):
            return f"{subject}: {self.reason}"
        name = subject.name if isinstance(subject, Unit) else subject.path
        return f"{self.action} {name}: {self.reason}"


@dataclass(frozen=True)
class HostPlan:
    """Steps in the order they have to be taken; ``before`` is what stands at the paths that change."""

    steps: tuple[HostStep, ...]
    before: Mapping[str, ObservedPath]

    @property
    def files(self) -> tuple[File, ...]:
        """The files to place."""
        return tuple(step.subject for step in self.steps if isinstance(step.subject, File))

    @property
    def follow_ups(self) -> tuple[FollowUp, ...]:
        return tuple(step.subject for step in self.steps if isinstance(step.subject, FollowUp))


def plan_host(wanted: HostState, observed: ObservedHost) -> HostPlan:
    """The steps from ``observed`` to ``wanted``; none where they agree."""
    places = tuple(_places(wanted, observed))
    steps = (*places, *_follow_ups(places, observed), *_unit_steps(wanted, observed))
    changing = {step.subject.path for step in places if isinstance(step.subject, Directory | Link | File)}
    return HostPlan(steps, {path: seen for path, seen in observed.paths.items() if path in changing})


_PLACED = {Directory: ("make", "directory"), Link: ("link", "link"), File: ("place", "file")}


def _places(wanted: HostState, observed: ObservedHost) -> Iterator[HostStep]:
    for item in wanted.places:
        action, kind = _PLACED[type(item)]
        reason = _difference(item, kind, observed.paths.get(item.path))
        if reason:
            yield HostStep(action, item, reason)


def _difference(item: Directory | Link | File, kind: str, seen: ObservedPath | None) -> str:
    if seen is None:
        return NOT_THERE
    if seen.kind != kind:
        return f"it is not a {kind}"
    if isinstance(item, Link):
        return "" if seen.content == item.target else f"it leads to {seen.content}"
    found = []
    if isinstance(item, File) and seen.content != item.content:
        found.append("content")
    if seen.mode != item.mode:
        found.append(f"mode {seen.mode:04o} to {item.mode:04o}")
    if not seen.owned_by_root:
        found.append("owner")
    return ", ".join(found)


def _follow_ups(places: tuple[HostStep, ...], observed: ObservedHost) -> Iterator[HostStep]:
    """Each once. A unit that does not run reads its files when it starts, so nothing is owed to it."""
    causes: dict[FollowUp, list[str]] = {
        owed: ["an earlier run was interrupted before it"] for owed in observed.pending
    }
    for step in places:
        if isinstance(step.subject, File) and step.subject.follow_up:
            causes.setdefault(step.subject.follow_up, []).append(f"{step.subject.path} changed")
    for follow_up, reasons in causes.items():
        if not follow_up.unit or observed.unit(follow_up.unit).active:
            yield HostStep("follow_up", follow_up, ", ".join(reasons))


def _unit_steps(wanted: HostState, observed: ObservedHost) -> Iterator[HostStep]:
    for unit in wanted.units:
        seen = observed.unit(unit.name)
        if unit.state == "masked":
            if seen.load_state != "masked":
                yield HostStep("mask", unit, f"it is {seen.file_state or seen.load_state}")
            continue
        if seen.file_state not in ("enabled", "static", "alias", "indirect"):
            yield HostStep("enable", unit, f"it is {seen.file_state or seen.load_state}")
        if unit.state == "at_boot":
            continue
        if not seen.active and not seen.skipped:
            yield HostStep("start", unit, "it does not run")
        elif seen.active and not seen.probed:
            yield HostStep("reload", unit, f"its effect is gone or altered ({' '.join(unit.probe)} failed)")
