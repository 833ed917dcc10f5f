"""Every release that a stack can be returned to: how quickly, and what its schema says to that. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from statistics import median
from typing import Any

from ..model.errors import OpsError
from ..model.ops import GoingBack
from ..model.release import Release, StackState
from .release import History, trail, was_live

WARM, PAUSED, STOPPED, IMAGE, GONE = "warm", "paused", "stopped", "image only", "image gone"
_FETCH = "fetch and verify the digest"
_START = ("start the candidate", "wait for health")
_SWITCH = (
    "smoke off the edge",
    "check the edge's configuration",
    "switch the edge",
    "confirm through the edge",
    "smoke through the edge",
)
# What took less than this was there already, and says nothing of how long it takes.
_AT_HAND_S = 0.2
_WORDS = {
    "impossible": "impossible: {}; restore a backup",
    "": "nobody said what {} means to it",
    "script": "take back first: {}",
}
_NEWEST = 10


@dataclass(frozen=True)
class Schema:
    """Where a release found its schema: ``known`` are the migrations it has, ``applied`` those that were in place."""

    known: frozenset[str] = frozenset()
    applied: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Target:
    """A release to return to. ``steps`` back it is, 0 when only its name leads there; times are UTC.

    ``seconds`` are estimated from what was measured here before, None when nothing was.
    """

    release: str
    number: int
    steps: int
    since: str
    until: str
    state: str
    seconds: float | None
    schema: str

    def as_dict(self) -> dict[str, Any]:
        """A row of a table."""
        return asdict(self)


def read_schema(text: str) -> Schema:
    """What the status command of a stack printed: one JSON document with ``databases`` (see ``x-ops.migrate.status``).

    Raises OpsError when it is something else.
    """
    try:
        databases = json.loads(text)["databases"].values()
        applied = frozenset(str(name) for one in databases for name in one["applied"])
        pending = frozenset(str(name) for one in databases for name in one["pending"])
        unknown = frozenset(str(name) for one in databases for name in one.get("unknown", ()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OpsError(
            f"the status command printed no {{databases: {{<name>: {{applied, pending}}}}}}: {text.strip()[:80]!r}",
            do="correct x-ops.migrate.status",
        ) from error
    return Schema((applied | pending) - unknown, applied)


def schema_verdict(target: Schema | None, now: Schema | None, rules: GoingBack) -> str:
    """What the migrations that were applied since mean to a release that does not know them, in a few words."""
    if target is None or now is None:
        return "not known"
    since = sorted(now.applied - target.known)
    if not since:
        return "the same"
    found = {name: _kind(name, rules) for name in since}
    for kind in ("impossible", "", "script"):
        if names := [name for name, one in found.items() if one == kind]:
            return _WORDS[kind].format(", ".join(names))
    return f"safe: works with {', '.join(since)}"


def hindrance(target: Schema | None, now: Schema | None, rules: GoingBack) -> str:
    """What of the migrations that were applied since is said to stand in the way back; empty where nothing is."""
    if target is None or now is None:
        return ""
    found = {name: _kind(name, rules) for name in sorted(now.applied - target.known)}
    said = [(kind, [name for name, one in found.items() if one == kind]) for kind in ("impossible", "script")]
    return "; ".join(_WORDS[kind].format(", ".join(names)) for kind, names in said if names)


def of_same_images(schemas: Mapping[int, Schema], images: Mapping[int, Iterable[str]]) -> dict[frozenset[str], Schema]:
    """What a release knows is in its images: another record of the same ones knows the same."""
    return {frozenset(images.get(number, ())): schema for number, schema in schemas.items()}


def _kind(name: str, rules: GoingBack) -> str:
    kinds = (("impossible", rules.impossible), ("script", rules.script), ("safe", rules.safe))
    return next((kind for kind, patterns in kinds if any(fnmatchcase(name, one) for one in patterns)), "")


def rollback_targets(
    records: Sequence[Release],
    state: StackState,
    history: History,
    *,
    containers: Mapping[int, str],
    images: Mapping[int, Iterable[str]],
    held: Set[str],
    schemas: Mapping[int, Schema],
    rules: GoingBack,
) -> list[Target]:
    """All good releases but the live one, the newest first; one that was recorded several times once.

    ``containers`` has the state of each release that has any here (the engine's word), ``images`` those of each record,
    ``held`` what the engine has.
    """
    origins = {record.number: record.origin for record in records}
    live = origins.get(state.live, state.live)
    numbers = was_live(history) - set(state.bad)
    newest = {record.origin: record for record in records if record.number in numbers and record.origin != live}
    path = trail(history, origins)
    back = [number for number in reversed(path[: path.index(live)] if live in path else path) if number in newest]
    times = _times(history, origins)
    speed = _Speed(history)
    now = schemas.get(state.live)
    known = of_same_images(schemas, images)
    targets = []
    for origin, record in newest.items():
        how = _state(containers.get(record.number, ""), set(images.get(record.number, ())) <= held)
        since, until = times.get(origin, ("", ""))
        targets.append(
            Target(
                record.release,
                record.number,
                back.index(origin) + 1 if origin in back else 0,
                since,
                until,
                how,
                speed.of(how),
                schema_verdict(known.get(frozenset(images.get(record.number, ()))), now, rules),
            )
        )
    return sorted(targets, key=lambda one: (one.steps == 0, one.steps, -one.number))


def _state(container: str, has_image: bool) -> str:
    if container == "running":
        return WARM
    if container == "paused":
        return PAUSED
    if container:
        return STOPPED
    return IMAGE if has_image else GONE


def _times(history: History, origins: Mapping[int, int]) -> dict[int, tuple[str, str]]:
    """When each release last began to serve, and when it ceased to."""
    found: dict[int, tuple[str, str]] = {}
    last = 0
    for event in history:
        if event.get("outcome") != "done" or "number" not in event:
            continue
        at = str(event.get("at", ""))
        number = origins.get(int(event["number"]), int(event["number"]))
        if last and last != number:
            found[last] = (found[last][0], at)
        if number != last:
            found[number] = (at, "")
        last = number
    return found


class _Speed:
    """What the parts of a switch took here: the middle of the newest few."""

    def __init__(self, history: History) -> None:
        steps = [event.get("steps") or {} for event in history if event.get("outcome") == "done"]
        self._fetch = _middle(one.get(_FETCH, 0.0) for one in steps)
        self._start = _middle(sum(one.get(name, 0.0) for name in _START) for one in steps)
        self._switch = _middle((sum(one.get(name, 0.0) for name in _SWITCH) for one in steps), least=0.0)

    def of(self, state: str) -> float | None:
        """Seconds until a release in this state serves, None when it was never measured."""
        parts = {WARM: (), PAUSED: (), STOPPED: (self._start,), IMAGE: (self._start,)}
        needed = (*parts.get(state, (self._start, self._fetch)), self._switch)
        return None if None in needed else round(sum(one for one in needed if one is not None), 1)


def _middle(values: Iterable[float], least: float = _AT_HAND_S) -> float | None:
    counted = [value for value in values if value > least][-_NEWEST:]
    return median(counted) if counted else None
