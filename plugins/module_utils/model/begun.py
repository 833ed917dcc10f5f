"""What is written down before a transaction does anything: whoever comes later can finish it or undo it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .errors import OpsError
from .release import StackState, state_from


@dataclass(frozen=True)
class Begun:
    """A transaction that began and has not told its end.

    ``before`` is the stack's state when it began, ``was_present`` whether the release had containers then,
    ``condemns`` the numbers of releases that are marked bad once this one is live. ``library`` names the code that
    runs it. ``allowed`` is what the host's gate found: the ``requester``, and ``relied_on``, ids of statements.
    ``began`` is UTC, ISO 8601.
    """

    id: str
    stack: str
    number: int
    action: str
    before: StackState
    was_present: bool
    began: str
    by: str = ""
    why: str = ""
    environment: str = ""
    condemns: tuple[int, ...] = ()
    library: str = ""
    allowed: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """As it is written."""
        return {**asdict(self), "condemns": list(self.condemns)}


def begun_from(found: Mapping[str, Any]) -> Begun:
    """The inverse of :meth:`Begun.as_dict`; what a newer version added is passed over.

    Raises OpsError when it cannot be read.
    """
    try:
        known = {one.name: found[one.name] for one in fields(Begun) if one.name in found}
        return Begun(**{**known, "before": state_from(found["before"]), "condemns": tuple(found.get("condemns", ()))})
    except (KeyError, TypeError) as error:
        raise OpsError(
            f"what was begun cannot be read: {error}",
            where=f"transaction.json of {found.get('stack', 'a stack')}",
            do="take the file away and converge the host: that mends the edge, and removes what is left over",
        ) from error


@dataclass(frozen=True)
class Watched:
    """A release under watch. ``until`` is UTC, ISO 8601; ``previous`` is what the watch goes back to."""

    transaction: str
    stack: str
    number: int
    previous: int
    until: str
    environment: str = ""
    library: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As it is written."""
        return asdict(self)


def watched_from(found: Mapping[str, Any]) -> Watched:
    """The inverse of :meth:`Watched.as_dict`. Raises OpsError when it cannot be read."""
    try:
        return Watched(**{one.name: found[one.name] for one in fields(Watched) if one.name in found})
    except TypeError as error:
        raise OpsError(
            f"what is watched cannot be read: {error}", where="watch.json", do="take the file away"
        ) from error
