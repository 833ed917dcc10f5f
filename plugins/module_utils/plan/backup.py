"""Decide about backups: what is backed up, which one is meant, which have served their time. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..model.backup import DATABASE, Backup, BackupPolicy, Keep
from ..model.document import nearest
from ..model.errors import OpsError
from ..model.stack import Stack

LATEST = "latest"
SAFETY = "safety"
LIST_COMMAND = "list them with restore.yml --check"

# A run younger than this may still be writing its manifest, so it is not litter yet.
_UNFINISHED_GRACE = dt.timedelta(days=1)
# Whoever replaced a database notices a mistake within days, not within the hour.
_SAFETY_TIME = dt.timedelta(days=7)
_SHORTEST_ID = 6


@dataclass(frozen=True)
class Step:
    """One thing that will be done, to what, and why."""

    action: str
    subject: str
    reason: str

    def __str__(self) -> str:
        return f"{self.action} {self.subject}: {self.reason}"


@dataclass(frozen=True)
class BackupObserved:
    """What was found before a backup. Sizes in bytes; None where a database or volume is not there."""

    databases: Mapping[str, int | None]
    volumes: Mapping[str, int | None]
    repository: bool


def chosen_parts(
    stack: Stack, databases: Sequence[str] = (), volumes: Sequence[str] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Databases and volumes to back up: all that the policy names, or those that were asked for by name.

    :raises OpsError: when the stack has nothing to back up, or has no part of that name.
    """
    policy = stack.ops.backup
    if policy is None:
        raise OpsError(
            f"stack '{stack.name}' has nothing to back up",
            where=f"inventories/stacks/{stack.name}.yml",
            do="add x-ops.backup to it, if it keeps data",
        )
    known = stack.ops.database.names if policy.databases and stack.ops.database else ()
    for kind, asked, there in (("database", databases, known), ("volume", volumes, policy.volumes)):
        for name in asked:
            if name not in there:
                guess = nearest(name, there)
                do = f"did you mean '{guess}'?" if guess else f"choose from: {', '.join(there) or 'none'}"
                raise OpsError(f"stack '{stack.name}' backs up no {kind} '{name}'", where=f"input {kind}", do=do)
    if databases or volumes:
        return tuple(databases), tuple(volumes)
    return known, policy.volumes


def plan_backup(stack: str, policy: BackupPolicy, observed: BackupObserved) -> tuple[Step, ...]:
    """The steps of a backup, databases before files.

    A file that a row refers to is written before the row is committed (Odoo's attachments are). Rows first and files
    second therefore gives every row its file; files that came in between are surplus and harm nobody. The other
    order would give rows whose files are missing.

    :raises OpsError: when something the policy names is not there, naming all of it.
    """
    missing = [f"database {name}" for name, size in observed.databases.items() if size is None]
    missing += [f"volume {name}" for name, size in observed.volumes.items() if size is None]
    if missing:
        raise OpsError(
            f"{' and '.join(missing)} cannot be backed up because it is not there",
            where=f"stack {stack}",
            do="run converge.yml if the stack was never started, or correct x-ops of its stack file",
        )
    steps: list[Step] = []
    if not observed.repository:
        steps.append(Step("create", f"repository of {stack}", "there is none yet in the object storage"))
    if policy.databases:
        steps += _each("database", observed.databases)
    steps += _each("volume", observed.volumes)
    return tuple(steps)


def _each(kind: str, sizes: Mapping[str, int | None]) -> list[Step]:
    return [Step("back up", f"{kind} {name}", describe_size(size or 0)) for name, size in sizes.items()]


def describe_size(size: float) -> str:
    """``12.3 MB``"""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


# -- which backup is meant ---------------------------------------------------------------------------------------------


def select_backup(backups: Sequence[Backup], wanted: str, kind: str, name: str) -> Backup:
    """The backup that holds a part, by ``latest``, by the id of the run or of a snapshot, or as of a time.

    :raises OpsError: when there is none, or when the words could mean several.
    """
    holding = [each for each in backups if each.complete and each.part(kind, name)]
    if not holding:
        raise _nothing_holds(backups, kind, name)
    if wanted == LATEST:
        return holding[-1]
    by_id = _by_id(backups, wanted)
    if by_id:
        return _usable(by_id, kind, name)
    time = _time(wanted)
    earlier = [each for each in holding if each.time <= time]
    if not earlier:
        oldest = holding[0].time.isoformat(timespec="seconds")
        raise OpsError(
            f"no backup of {kind} {name} is as old as {wanted}",
            where=f"the oldest is of {oldest}",
            do=LIST_COMMAND,
        )
    return earlier[-1]


def _nothing_holds(backups: Sequence[Backup], kind: str, name: str) -> OpsError:
    complete = [each for each in backups if each.complete]
    names = {part.name for each in complete for part in each.snapshots if part.kind == kind}
    guess = nearest(name, sorted(names))
    do = f"did you mean '{guess}'?" if guess else "back it up with back_up.yml first" if not names else LIST_COMMAND
    return OpsError(f"no verified backup holds {kind} '{name}'", where="object storage", do=do)


def _by_id(backups: Sequence[Backup], wanted: str) -> list[Backup]:
    if len(wanted) < _SHORTEST_ID:
        return []
    return [
        each for each in backups if each.run.startswith(wanted) or any(s.id.startswith(wanted) for s in each.snapshots)
    ]


def _usable(found: Sequence[Backup], kind: str, name: str) -> Backup:
    if len(found) > 1:
        raise OpsError(
            f"the id fits {len(found)} backups: {', '.join(each.run for each in found)}",
            where="input snapshot",
            do="write more of it",
        )
    backup = found[0]
    if not backup.complete:
        raise OpsError(
            "this backup was not finished or not verified, so nothing vouches for it",
            where=f"backup {backup.run}",
            do=f"choose another; {LIST_COMMAND}",
        )
    if not backup.part(kind, name):
        raise OpsError(f"this backup does not hold {kind} '{name}'", where=f"backup {backup.run}", do=LIST_COMMAND)
    return backup


def _time(text: str) -> dt.datetime:
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError:
        raise OpsError(
            f"'{text}' is neither latest, nor the id of a backup, nor a time",
            where="input snapshot",
            do=f"{LIST_COMMAND}; write a time like 2026-11-22T15:00+09:00",
        ) from None
    if time.tzinfo is None:
        # Nine hours lie between the zones of operators and of servers: guessing one restores the wrong backup.
        raise OpsError(f"the time '{text}' has no zone", where="input snapshot", do=f"write {text}+09:00 or {text}Z")
    return time


# -- retention ---------------------------------------------------------------------------------------------------------


def expired_backups(backups: Sequence[Backup], keep: Keep, now: dt.datetime) -> tuple[Backup, ...]:
    """Backups that may go, oldest first.

    Decided for each database and volume by itself, since a backup of one database must not push out the last backup
    of another. A complete backup stays while any part of it is the newest of a day, week or month that counts, and
    the newest of each part stays whatever the numbers say.
    """
    stays: set[str] = {each.run for each in backups if _young(each, now)}
    complete = [each for each in backups if each.complete]
    for part in {snapshot.part for each in complete for snapshot in each.snapshots}:
        holding = sorted((each for each in complete if _holds(each, part)), key=lambda each: each.time, reverse=True)
        stays.add(holding[0].run)
        for count, period in ((keep.daily, _day), (keep.weekly, _week), (keep.monthly, _month)):
            stays.update(_newest_of_periods(holding, count, period))
    return tuple(each for each in backups if each.run not in stays)


def _holds(backup: Backup, part: str) -> bool:
    return any(snapshot.part == part for snapshot in backup.snapshots)


def _young(backup: Backup, now: dt.datetime) -> bool:
    grace = _SAFETY_TIME if any(each.reason == SAFETY for each in backup.snapshots) else _UNFINISHED_GRACE
    return backup.time > now - grace


def _newest_of_periods(newest_first: Iterable[Backup], count: int, period: Callable[[dt.datetime], str]) -> set[str]:
    chosen: dict[str, str] = {}
    for backup in newest_first:
        if len(chosen) == count and period(backup.time) not in chosen:
            break
        if count:
            chosen.setdefault(period(backup.time), backup.run)
    return set(chosen.values())


def _day(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%Y-%m-%d")


def _week(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%G-W%V")


def _month(time: dt.datetime) -> str:
    return time.astimezone(dt.UTC).strftime("%Y-%m")


def list_backups(backups: Sequence[Backup]) -> tuple[dict[str, str], ...]:
    """Rows for people, newest first."""
    return tuple(
        {
            "backup": each.run,
            "time": each.time.astimezone(dt.UTC).isoformat(timespec="seconds"),
            "verified": "yes" if each.complete else "no",
            "reason": each.snapshots[0].reason,
            "databases": " ".join(s.name for s in each.snapshots if s.kind == DATABASE),
            "volumes": " ".join(s.name for s in each.snapshots if s.kind == "volume"),
        }
        for each in reversed(backups)
    )
