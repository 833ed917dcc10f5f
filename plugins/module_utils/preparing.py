"""What a release needs before its candidate starts: room on the disk, and its schema migrated where asked for."""

from __future__ import annotations

from collections.abc import Callable

from .gateway.engine import TaskResult
from .hands import Host
from .model.errors import OpsError
from .model.ops import Migration
from .model.release import Release
from .model.stack import Stack

LEAST_FREE = 512 << 20
"""Bytes that are free before a deploy: an image is pulled and unpacked, and what runs goes on writing its logs."""


def see_disk(host: Host) -> None:
    """See that there is room for another release. Raises OpsError with what is free and where."""
    for place, free in host.runtime.room().items():
        if free < LEAST_FREE:
            raise OpsError(
                f"{free >> 20} MiB are free at {place}, and a deploy needs {LEAST_FREE >> 20}",
                where="this host's disk",
                do="docker system df says what takes it; free or add some, and deploy again; a rollback needs none",
            )


def see_way_back(host: Host, old: Release, warn: Callable[[str], None]) -> None:
    """Say it when what would be returned to does not run: this deploy is then made without a net."""
    if not host.runtime.is_up(old):
        warn(f"release {old.number} ({old.release}) does not run: there is nothing to return to at once")


def migration_of(stack: Stack) -> Migration:
    """The migration that a stack declares. Raises OpsError when there is none."""
    if stack.ops.migrate is None:
        raise OpsError(
            f"stack '{stack.name}' has no migration",
            where=f"inventories/stacks/{stack.name}.yml",
            do="add x-ops.migrate",
        )
    return stack.ops.migrate


def run_migration(host: Host, release: Release, migration: Migration) -> TaskResult:
    """Run the schema migration of a release in a container of its own, whatever comes of it; see :func:`must_be_done`.

    Raises OpsError when it cannot be run, does not end in time, or another runs already.
    """
    return host.runtime.run_task(release, migration.service, migration.command, migration.timeout)


def must_be_done(result: TaskResult, release: Release) -> None:
    """Raise OpsError with the last lines of a migration that failed."""
    if result.exit_code != 0:
        raise OpsError(
            f"the migration ended with exit code {result.exit_code}: {last_lines(result)}",
            where=f"{release.stack} {release.release}",
            do="the old release serves as before; mend the rows or the migration, then run the same again",
        )


def last_lines(result: TaskResult) -> str:
    """What a migration that failed wrote last."""
    return "" if result.exit_code == 0 else result.output[-1500:]
