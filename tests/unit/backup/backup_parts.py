"""Backups for tests, in a line each."""

from __future__ import annotations

import datetime as dt

from plugins.module_utils.model.backup import MANIFEST, Backup, Snapshot

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def backup(
    run: str,
    time: dt.datetime,
    parts: tuple[str, ...] = ("database:acme",),
    *,
    complete: bool = True,
    reason: str = "manual",
) -> Backup:
    """A run with these parts."""
    held = (*parts, MANIFEST) if complete else parts
    snapshots = (
        Snapshot(
            f"{run}-{index:02}-snapshot", time + dt.timedelta(seconds=index), "staging", "odoo18", run, part, reason
        )
        for index, part in enumerate(held)
    )
    return Backup(run, tuple(snapshots))
