"""Carry out a restore: out of sight, compared with the manifest, and put in place in one move."""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .apply_backup import BackupRun, Request, find_backups, read_manifest
from .backup_places import Places
from .gateway.database_dump import load_dump
from .gateway.database_server import Server, frozen, measure_content
from .gateway.restic import Restic
from .gateway.stack_volume import Volumes, digest_tree
from .model.backup import DATABASE, VOLUME, Backup, DatabaseRecord, Manifest, VolumeRecord, stream_path
from .model.errors import OpsError
from .model.restore import loading_name, previous_name
from .model.stack import Stack
from .plan.backup import SAFETY, Step, describe_size, list_backups, select_backup
from .plan.restore import content_differences, plan_database_restore, plan_volume_restore


@dataclass(frozen=True)
class Wanted:
    """What is to be restored: the database or volume ``name``, into ``target``; ``replace`` names that again."""

    environment: str
    stack: Stack
    kind: str
    name: str
    target: str
    snapshot: str
    replace: str = ""


@dataclass(frozen=True)
class Restored:
    """What came of it. ``seconds`` is what a user would have waited; ``safety`` is the backup of what was replaced."""

    seconds: float
    load_seconds: float
    bytes: int
    rows: int = 0
    files: int = 0
    warnings: tuple[str, ...] = field(default_factory=tuple)
    safety: str = ""


class Restore(ABC):
    """Build it quietly, look, then run. Common to both kinds: the choice of the backup, and its manifest."""

    def __init__(self, wanted: Wanted, restic: Restic) -> None:
        self.wanted = wanted
        self.restic = restic
        self.began = time.monotonic()
        self.source = ""

    @abstractmethod
    def look(self) -> tuple[Step, ...]:
        """The steps.

        :raises OpsError: when it would not be safe.
        """

    @abstractmethod
    def run(self, steps: Sequence[Step]) -> Restored:
        """Take the steps that :meth:`look` gave.

        :raises OpsError: when anything fails; the target is then as it was.
        """

    def choose(self) -> tuple[Backup, Manifest]:
        """The backup that is meant.

        :raises OpsError: when there is none, or it cannot be read.
        """
        wanted = self.wanted
        backups = find_backups(self.restic, wanted.environment, wanted.stack.name)
        backup = select_backup(backups, wanted.snapshot, wanted.kind, wanted.name)
        assert backup.manifest is not None
        return backup, read_manifest(self.restic, backup.manifest.id)

    def seconds(self) -> float:
        """Since the beginning."""
        return round(time.monotonic() - self.began, 2)


class DatabaseRestore(Restore):
    """One database. ``save`` makes a verified backup of a database that is about to be replaced."""

    _record: DatabaseRecord

    def __init__(self, wanted: Wanted, restic: Restic, server: Server, save: Callable[[str], str]) -> None:
        super().__init__(wanted, restic)
        self._server = server
        self._save = save
        self._mark = secrets.token_hex(3)

    def look(self) -> tuple[Step, ...]:
        backup, manifest = self.choose()
        record = next((each for each in manifest.databases if each.name == self.wanted.name), None)
        if record is None:
            raise _not_in_manifest(backup, self.wanted.name)
        self.source, self._record = backup.run, record
        target = self._server.target(self.wanted.target)
        return plan_database_restore(target, self.wanted.replace, f"{backup.run} ({manifest.time})", self._mark)

    def run(self, steps: Sequence[Step]) -> Restored:
        record = self._record
        target = self.wanted.target
        safety = ""
        loading, previous = loading_name(target, self._mark), previous_name(target, self._mark)
        for step in steps:
            if step.action == "drop" and step.subject != f"database {previous}":
                self._server.drop(step.subject.removeprefix("database "))
            elif step.action == "back up":
                safety = self._save(target)
        lost = self._server.missing_roles(record.content.roles)
        warnings = [f"role {role} is not ours to act for, so owners and grants are not kept" for role in lost]
        load_began = time.monotonic()
        with self._removed_on_failure(loading):
            keep_owner = not self._server.missing_roles([record.content.owner])
            warnings += self._server.create_database(loading, record.content, keep_owner=keep_owner)
            self._load(record, loading, owners=not lost)
            load_seconds = round(time.monotonic() - load_began, 2)
            self._compare(record, loading)
            replaces = any(step.action == "swap" for step in steps)
            self._server.rename({**({target: previous} if replaces else {}), loading: target})
        if replaces:
            self._server.drop(previous)
        return Restored(self.seconds(), load_seconds, record.bytes, record.content.rows, 0, tuple(warnings), safety)

    def _load(self, record: DatabaseRecord, loading: str, *, owners: bool) -> None:
        path = stream_path(f"{DATABASE}:{self.wanted.name}")
        with self.restic.reading(record.snapshot, path) as stream:
            read = load_dump(stream, self._server, loading, owners=owners, version=self._server.version())
        if read.sha256 != record.sha256:
            raise OpsError(
                "the dump in the storage is not the one that was verified when it was made",
                where=f"snapshot {record.snapshot[:8]}",
                do="choose another backup, and keep this repository as it is for an inquiry",
            )

    def _compare(self, record: DatabaseRecord, loading: str) -> None:
        self._server.analyse(loading)
        with frozen(self._server, loading) as (session, _):
            differences = content_differences(record.content, measure_content(session))
        if differences:
            raise OpsError(
                f"the restored database is not what was backed up: {'; '.join(differences[:5])}",
                where=f"database {self.wanted.target}",
                do="choose another backup; nothing was changed",
            )

    @contextmanager
    def _removed_on_failure(self, loading: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._server.drop(loading)
            raise


class VolumeRestore(Restore):
    """The files of one volume."""

    _record: VolumeRecord

    def __init__(self, wanted: Wanted, restic: Restic, volumes: Volumes) -> None:
        super().__init__(wanted, restic)
        self._volumes = volumes

    @property
    def volume(self) -> str:
        """The engine's name of the target."""
        known = self.wanted.stack.volumes
        target = self.wanted.target
        return known[target].name if target in known else f"{self.wanted.stack.name}_{target}"

    def look(self) -> tuple[Step, ...]:
        backup, manifest = self.choose()
        record = next((each for each in manifest.volumes if each.name == self.wanted.name), None)
        if record is None:
            raise _not_in_manifest(backup, self.wanted.name)
        self.source, self._record = backup.run, record
        return plan_volume_restore(self._volumes.target(self.volume), self.wanted.target, record.bytes)

    def run(self, steps: Sequence[Step]) -> Restored:
        record = self._record
        if any(step.action == "create" for step in steps):
            self._volumes.create(
                self.volume,
                {"ops.seisei.environment": self.wanted.environment, "ops.seisei.stack": self.wanted.stack.name},
            )
        load_began = time.monotonic()
        with self._volumes.waiting_room(self.volume) as room:
            self.restic.restore_tree(record.snapshot, record.path, str(room))
            load_seconds = round(time.monotonic() - load_began, 2)
            found = digest_tree(room)
            if found.sha256 != record.sha256:
                raise OpsError(
                    f"the restored files are not what was backed up: {found.files} files of "
                    f"{describe_size(found.bytes)} instead of {record.files} of {describe_size(record.bytes)}",
                    where=f"volume {self.volume}",
                    do="choose another backup; nothing was changed",
                )
            self._volumes.place(self.volume, room, record.owner, record.mode)
        return Restored(self.seconds(), load_seconds, record.bytes, 0, found.files)


def _not_in_manifest(backup: Backup, name: str) -> OpsError:
    return OpsError(
        f"the manifest does not name '{name}'",
        where=f"backup {backup.run}",
        do="choose another with restore.yml --check",
    )


def choose_restore(stack: Stack, given: Mapping[str, Any], found: Places, *, rehearsing: bool) -> Restore | None:
    """The restore that was asked for; None when a rehearsal names nothing and only wants the list.

    :raises OpsError: when nothing or both is named, or a stack without a database shall have one restored.
    """
    kind = DATABASE if given["database"] else VOLUME
    name = given["database"] or given["volume"]
    if given["database"] and given["volume"]:
        raise OpsError(
            "both a database and a volume were named", where="inputs database, volume", do="restore one, then the other"
        )
    if not name:
        if rehearsing:
            return None
        raise OpsError(
            "neither a database nor a volume was named",
            where="inputs database, volume",
            do="add -e database=… or -e volume=…; --check lists what there is",
        )
    target = given["target"] or name
    wanted = Wanted(given["environment_name"], stack, kind, name, target, given["snapshot"], given["replace"])
    if kind == VOLUME:
        return VolumeRestore(wanted, found.restic, found.volumes)
    if found.server is None:
        raise OpsError(f"stack '{stack.name}' has no database", where="input database", do="choose another stack")
    return DatabaseRestore(wanted, found.restic, found.server, lambda database: _save(wanted, found, database))


def lock_name(stack: Stack, given: Mapping[str, Any]) -> str:
    """What a restore must not run beside: a release, when it touches what the stack uses; else only its like."""
    target = given["target"] or given["database"] or given["volume"]
    own = {*(stack.ops.database.names if stack.ops.database else ()), *stack.volumes}
    return stack.name if target in own else f"{stack.name}.restore"


def _save(wanted: Wanted, found: Places, database: str) -> str:
    if wanted.stack.ops.backup is None:
        raise OpsError(
            f"stack '{wanted.stack.name}' has no backup policy, so what is there cannot be saved first",
            where=f"inventories/stacks/{wanted.stack.name}.yml",
            do="add x-ops.backup to it",
        )
    request = Request(wanted.environment, wanted.stack, SAFETY, "", (database,), ())
    run = BackupRun(request, found.restic, found.server, found.volumes)
    return run.run(run.look()).manifest.run


def rehearsed(stack: str, environment: str, restic: Restic, plan: Sequence[str]) -> dict[str, Any]:
    """What there is to restore from, newest first, and what a real run would do."""
    rows = list(list_backups(find_backups(restic, environment, stack)))
    lines = [f"Backups of {stack} ({environment}), newest first:" if rows else f"There is no backup of {stack} yet."]
    for row in rows:
        state = "verified" if row["verified"] == "yes" else "NOT VERIFIED"
        held = f"databases: {row['databases'] or 'none'}  volumes: {row['volumes'] or 'none'}"
        lines.append(f"  {row['backup']}  {row['time']}  {state}  {row['reason']}  {held}")
    lines += [f"Would {step}" for step in plan]
    return {"backups": rows, "display": lines, "report": {"backups": rows, "plan": list(plan)}}


def report_restored(restore: Restore, restored: Restored) -> dict[str, Any]:
    """``display`` for people and ``report`` for programs."""
    wanted = restore.wanted
    of_database = wanted.kind == DATABASE
    what = f"{restored.rows} rows" if of_database else f"{restored.files} files"
    compared = "every table by count and hash" if of_database else "all files by hash"
    size = describe_size(restored.bytes)
    lines = [
        f"Restored {wanted.kind} {wanted.name} of {restore.source} as {wanted.target}: {what}, {size}.",
        f"  loaded in {restored.load_seconds} s, ready after {restored.seconds} s, compared {compared}",
        *([f"  what was there before is kept as backup {restored.safety}"] if restored.safety else []),
        *(f"  warning: {warning}" for warning in restored.warnings),
    ]
    report = {
        "backup": restore.source,
        "stack": wanted.stack.name,
        "environment": wanted.environment,
        wanted.kind: wanted.name,
        "target": wanted.target,
        "verified": True,
        "bytes": restored.bytes,
        "rows" if of_database else "files": restored.rows if of_database else restored.files,
        "load_s": restored.load_seconds,
        "rto_s": restored.seconds,
        "safety_backup": restored.safety,
        "warnings": list(restored.warnings),
    }
    return {"display": lines, "report": report}
