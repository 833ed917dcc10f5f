"""Decide whether a restore is safe, in which steps it goes, and whether its result is the same. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..model.backup import DatabaseContent
from ..model.errors import OpsError
from ..model.restore import DatabaseTarget, Session, VolumeTarget, loading_name, previous_name
from .backup import Step, describe_size


def plan_database_restore(target: DatabaseTarget, replace: str, source: str, mark: str) -> tuple[Step, ...]:
    """The steps of a restore that can be broken off at any point without a half-restored database.

    :raises OpsError: when it would not be safe.
    """
    _refuse_unsafe(target, replace)
    steps = [Step("drop", f"database {name}", "left by a restore that was cut off") for name in target.leftovers]
    if target.exists and target.tables:
        steps.append(Step("back up", f"database {target.name}", "it is about to be replaced"))
    steps += [
        Step("load", f"database {loading_name(target.name, mark)}", f"from the backup of {source}, out of sight"),
        Step("compare", f"database {loading_name(target.name, mark)}", "with the rows and hashes of the manifest"),
    ]
    if target.exists:
        steps.append(Step("swap", f"database {target.name}", "both renamed in one transaction"))
        steps.append(Step("drop", f"database {previous_name(target.name, mark)}", "what was there before"))
    else:
        steps.append(Step("rename", f"database {target.name}", "it appears complete, or not at all"))
    return tuple(steps)


def _refuse_unsafe(target: DatabaseTarget, replace: str) -> None:
    where = f"database {target.name}"
    if replace and replace != target.name:
        raise OpsError(
            f"'{replace}' was typed, but '{target.name}' would be replaced",
            where="input replace",
            do=f"write -e replace={target.name} if that is meant",
        )
    if not target.may_create:
        raise OpsError(
            "the role of the stack may not create databases, which a restore needs to do",
            where=where,
            do="let an administrator run ALTER ROLE … CREATEDB for it",
        )
    if not target.exists:
        return
    if not target.owned:
        raise OpsError(
            "the role of the stack does not own this database, so it may not rename it",
            where=where,
            do="restore under another name with -e target=…, or let an administrator change its owner",
        )
    if target.tables and not replace:
        raise OpsError(
            f"there is a database of this name with {target.tables} tables",
            where=where,
            do=f"restore beside it with -e target={target.name}_restored, or replace it with -e replace={target.name}",
        )
    if target.sessions:
        raise OpsError(
            f"the database is in use by {_sessions(target.sessions)}",
            where=where,
            do=f"stop what uses it, or restore beside it with -e target={target.name}_restored",
        )


def _sessions(sessions: Sequence[Session]) -> str:
    counted: dict[str, int] = {}
    for session in sessions:
        counted[str(session)] = counted.get(str(session), 0) + 1
    texts = [f"{text} ({count} sessions)" if count > 1 else text for text, count in counted.items()]
    return ", ".join(texts[:3]) + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")


def content_differences(wanted: DatabaseContent, observed: DatabaseContent) -> tuple[str, ...]:
    """What of a restored database is not as the manifest says; empty when it is the same."""
    found: list[str] = []
    for name in sorted(wanted.tables.keys() | observed.tables.keys()):
        before, after = wanted.tables.get(name), observed.tables.get(name)
        if before is None or after is None:
            found.append(f"table {name} is {'surplus' if before is None else 'missing'}")
        elif before.rows != after.rows:
            found.append(f"table {name} has {after.rows} rows instead of {before.rows}")
        elif before.digest != after.digest:
            found.append(f"table {name} has other content in its {after.rows} rows")
    for kind in sorted(wanted.structure.keys() | observed.structure.keys()):
        counts = wanted.structure.get(kind, 0), observed.structure.get(kind, 0)
        if counts[0] != counts[1]:
            found.append(f"{counts[1]} {kind} instead of {counts[0]}")
    return tuple(found)


def row_differences(wanted: DatabaseContent, rows: Mapping[str, int]) -> tuple[str, ...]:
    """What of a dump, read to its end, is not as the database was; ``rows`` counts those of each table in the dump."""
    names = sorted(wanted.tables.keys() | rows.keys())
    known = {name: table.rows for name, table in wanted.tables.items()}
    return tuple(
        f"table {name} has {rows.get(name, 'no')} rows in the dump and {known.get(name, 'no')} in the database"
        for name in names
        if known.get(name) != rows.get(name)
    )


# -- restoring files ---------------------------------------------------------------------------------------------------


def plan_volume_restore(target: VolumeTarget, name: str, size: int) -> tuple[Step, ...]:
    """The steps of restoring ``size`` bytes of files into an empty or new volume; ``name`` is it without the stack's.

    :raises OpsError: when the volume holds files or is in use, or the disk is too small.
    """
    where = f"volume {target.name}"
    beside = f"restore beside it with -e target={name}_restored"
    if target.entries:
        raise OpsError(f"the volume holds {target.entries} entries", where=where, do=f"{beside}, or empty it first")
    if target.used_by:
        raise OpsError(f"the volume is in use by {', '.join(target.used_by)}", where=where, do=f"{beside}, or stop it")
    if target.free < size * 1.05:
        raise OpsError(
            f"the backup needs {describe_size(size)}, and {describe_size(target.free)} are free",
            where=f"the disk of {where}",
            do="free some space, or restore on another host",
        )
    steps = [] if target.exists else [Step("create", where, "it is not there yet")]
    steps.append(Step("load", where, f"{describe_size(size)}, out of sight"))
    steps.append(Step("compare", where, "with the hash of all files in the manifest"))
    steps.append(Step("place", where, "by one rename"))
    return tuple(steps)
