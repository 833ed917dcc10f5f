"""A release on a host: resolved once, immutable; a rollback restores all of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .errors import OpsError


@dataclass(frozen=True)
class Release:
    """One release record.

    ``number`` counts up per stack and host; ``digests`` maps a released service to its image digest; ``tree`` is the
    stack's definition at this release; ``secrets`` are the keyed fingerprints of the secret values it runs with, by
    name. ``of`` is the number of the record that this one repeats, 0 for a release of its own. ``stack_file`` is
    the fingerprint of the stack file before its names were resolved, which statements call the definition; empty where
    it was not recorded. Times are UTC, ISO 8601.
    """

    number: int
    stack: str
    release: str
    digests: Mapping[str, str]
    tree: Mapping[str, Any] = field(repr=False)
    definition: str
    secrets: Mapping[str, str]
    created_at: str
    by: str = ""
    why: str = ""
    of: int = 0
    stack_file: str = ""

    @property
    def origin(self) -> int:
        """The number under which the release was first recorded: ``of`` names it in a record that repeats one."""
        return self.of or self.number

    @property
    def short(self) -> str:
        """``19b9b98`` of ``sha-19b9b98…``."""
        return self.release.removeprefix("sha-")[:7]

    def as_dict(self) -> dict[str, Any]:
        """The record as it is written."""
        return asdict(self)


def release_from(record: Mapping[str, Any]) -> Release:
    """The inverse of :meth:`Release.as_dict`.

    Raises OpsError when the record lacks a field.
    """
    if not isinstance(record.get("secrets", {}), Mapping):
        raise OpsError(
            "the release record was written before each secret had a fingerprint of its own",
            where=f"record {record.get('number', '?')} of {record.get('stack', '?')}",
            do="take /var/lib/seisei/stacks/<stack> and its containers away, and converge; volumes stay",
        )
    try:
        known = {"stack_file": "", **record}
        return Release(**{name: known[name] for name in Release.__dataclass_fields__})
    except KeyError as error:
        raise OpsError(
            f"the release record has no field {error}",
            where=f"record {record.get('number', '?')} of {record.get('stack', '?')}",
            do="restore the record from a backup of /var/lib/seisei/stacks, or deploy again",
        ) from error


@dataclass(frozen=True)
class StackState:
    """Which records are live and on standby on a host; 0 means none. ``bad`` are records that failed after a switch."""

    live: int = 0
    standby: int = 0
    last: int = 0
    bad: tuple[int, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The state as it is written."""
        return asdict(self)


def state_from(found: Mapping[str, Any]) -> StackState:
    """The inverse of :meth:`StackState.as_dict`; unknown fields are refused by name."""
    unknown = set(found) - set(StackState.__dataclass_fields__)
    if unknown:
        raise OpsError(
            f"unknown field {sorted(unknown)[0]} in the stack's state", do="is this host newer than this checkout?"
        )
    values = dict(found)
    values["bad"] = tuple(values.get("bad", ()))
    return StackState(**values)
