"""Decide which release a rollback returns to, and whether a deploy has anything to do: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from ..model.errors import OpsError
from ..model.release import Release, StackState

History = Sequence[Mapping[str, Any]]
DEPLOYED = "done"


def was_live(history: History) -> set[int]:
    """Numbers of the releases that once took traffic and kept it."""
    return {int(event["number"]) for event in history if event.get("outcome") == DEPLOYED and "number" in event}


def trail(history: History, origins: Mapping[int, int]) -> list[int]:
    """The numbers that led to the live release, oldest first: a deploy adds one, a rollback takes off what it left.

    ``origins`` leads from a record that repeats another to that one: it is the same step of the way.
    """
    path: list[int] = []
    for event in history:
        if event.get("outcome") != DEPLOYED or "number" not in event:
            continue
        number = origins.get(int(event["number"]), int(event["number"]))
        path = path[: path.index(number)] if number in path else path
        path.append(number)
    return path


def rollback_target(
    records: Sequence[Release], state: StackState, history: History, *, steps: int = 1, release: str = ""
) -> Release:
    """The release to return to: ``steps`` good releases before the live one, or the newest one at a sha.

    Bad releases (undone after their switch), those that never took traffic, and what a rollback left are passed
    over: going back never leads to what somebody went back from. A release that is named may be a bad one, where no
    good one is so called: whoever names it may know better than the machine that judged it.
    Raises OpsError when there is none, naming those there are.
    """
    origins = {r.number: r.origin for r in records}
    live = origins.get(state.live, state.live)
    served = [r for r in records if r.number in was_live(history) and r.origin != live]
    good = [r for r in served if r.number not in state.bad]
    if release:
        for found in (good, served):
            if named := [r for r in found if r.release.startswith(release)]:
                return named[-1]
    else:
        path = trail(history, origins)
        before = path[: path.index(live)] if live in path else path
        newest = {r.origin: r for r in good}
        earlier = [newest[number] for number in before if number in newest]
        if 1 <= steps <= len(earlier):
            return earlier[-steps]
    asked = f"at {release}" if release else f"{steps} step{'s' * (steps != 1)} back"
    known = ", ".join(f"{r.release} (release {r.number})" for r in reversed(good)) or "none"
    raise OpsError(
        f"there is no good release {asked}; there are: {known}", do="choose one of them, or deploy a release"
    )


def with_secrets_at_hand(release: Release, present: Set[str], today: Mapping[str, str]) -> Release:
    """The release with secret values that this host holds: its own, or today's where its own was rotated away.

    ``present`` are the files in place (``NAME.mark``), ``today`` the marks of the values in use now.
    Raises OpsError when the host holds no value of a secret at all.
    """
    marks = {
        name: mark if f"{name}.{mark}" in present else today.get(name, mark) for name, mark in release.secrets.items()
    }
    lost = sorted(name for name, mark in marks.items() if f"{name}.{mark}" not in present)
    if lost:
        raise OpsError(
            f"this host has no value of {', '.join(lost)} any more",
            where=f"release {release.number} of {release.stack}",
            do=f"converge the host, or deploy {release.release}: both ask the secrets store",
        )
    return replace(release, secrets=marks)


def same_release(live: Release | None, candidate: Release) -> bool:
    """Whether what is live is already exactly the candidate: sha, digests, definition and secret values."""
    return live is not None and (live.release, dict(live.digests), live.definition, live.secrets) == (
        candidate.release,
        dict(candidate.digests),
        candidate.definition,
        candidate.secrets,
    )


def live_since(history: History, number: int) -> str:
    """When a release last became live, UTC; empty when history does not say."""
    times = [str(e["at"]) for e in history if e.get("outcome") == DEPLOYED and e.get("number") == number]
    return times[-1] if times else ""


def known_bad(records: Sequence[Release], state: StackState, history: History, candidate: Release) -> Release | None:
    """The record by which a release is known to be bad, or None: the newest that says anything of it decides.

    The same sha with another digest, definition or secret is another release, of which nothing is known.
    """
    good = was_live(history) - set(state.bad)
    for record in sorted(records, key=lambda one: one.number, reverse=True):
        if same_release(record, candidate) and record.number in {*good, *state.bad}:
            return record if record.number in state.bad else None
    return None


def why_bad(history: History, number: int) -> str:
    """Why a release was taken back, in the words of whatever took it back."""
    for event in reversed(history):
        if event.get("number") == number and event.get("error"):
            return str(event["error"])
        if number in event.get("condemns", ()):
            return str(event.get("why") or "no reason was given")
    return "history does not say why"
