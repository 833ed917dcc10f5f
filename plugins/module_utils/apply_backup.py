"""Carry out a backup: store every part, read every part back from the storage, and only then vouch for it."""

from __future__ import annotations

import datetime as dt
import json
import platform
import secrets
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .gateway.database_dump import dump_command, dumped, read_dump
from .gateway.database_server import Server, frozen, measure_content
from .gateway.restic import Restic, Stored
from .gateway.stack_volume import Volumes, digest_archive, owner_and_mode
from .model.backup import (
    DATABASE,
    MANIFEST,
    VOLUME,
    Backup,
    DatabaseContent,
    DatabaseRecord,
    Manifest,
    VolumeRecord,
    group_backups,
    parse_manifest,
    parse_snapshot,
    snapshot_tags,
    stream_path,
)
from .model.errors import OpsError
from .model.stack import Stack
from .plan.backup import BackupObserved, Step, describe_size, expired_backups, plan_backup
from .plan.restore import row_differences

# More would only make each of them slower: server, line and two cores are shared.
_AT_ONCE = 2


@dataclass(frozen=True)
class Request:
    """Which backup is wanted. ``databases`` and ``volumes`` narrow what the policy names."""

    environment: str
    stack: Stack
    reason: str
    release: str
    databases: tuple[str, ...]
    volumes: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What came of a backup: its manifest, bytes sent, seconds, and the backups that were taken away."""

    manifest: Manifest
    added: int
    seconds: float
    expired: tuple[str, ...]


class BackupRun:
    """One backup of one stack. Build it quietly, look, then run."""

    def __init__(self, request: Request, restic: Restic, server: Server | None, volumes: Volumes) -> None:
        self._request = request
        self._restic = restic
        self._server = server
        self._volumes = volumes
        self._run = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
        self._added = 0

    def look(self) -> tuple[Step, ...]:
        """What would be done.

        :raises OpsError: when something that has to be backed up, or the storage, is not there.
        """
        request = self._request
        databases = self._server.sizes(request.databases) if self._server and request.databases else {}
        volumes = {name: self._volumes.size(self._volume(name)) for name in request.volumes}
        policy = request.stack.ops.backup
        assert policy is not None
        return plan_backup(request.stack.name, policy, BackupObserved(databases, volumes, self._restic.exists()))

    def run(self, steps: Sequence[Step]) -> Outcome:
        """Do it.

        :raises OpsError: when a part could not be stored, or not be proven. What was stored then is never offered.
        """
        began = time.monotonic()
        started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        if any(step.action == "create" for step in steps):
            self._restic.create()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            databases = tuple(pool.map(self._database, self._request.databases))
        volumes = tuple(self._store_volume(name) for name in self._request.volumes)
        manifest = Manifest(
            run=self._run,
            environment=self._request.environment,
            stack=self._request.stack.name,
            time=started,
            reason=self._request.reason,
            release=self._request.release,
            tools={"restic": self._restic.version(), "python": platform.python_version()},
            databases=databases,
            volumes=volumes,
        )
        self._vouch(manifest)
        expired = self._forget_expired()
        return Outcome(manifest, self._added, round(time.monotonic() - began, 2), expired)

    # -- one part ------------------------------------------------------------------------------------------------------

    def _database(self, name: str) -> DatabaseRecord:
        assert self._server is not None
        began = time.monotonic()
        with frozen(self._server, name) as (session, moment), ThreadPoolExecutor(1) as pool:
            storing = pool.submit(self._store_dump, name, moment)
            content = measure_content(session)
            stored = storing.result()
        between = time.monotonic()
        sha256, size = dumped(stored.notes)
        self._prove_dump(name, stored.snapshot, sha256, content)
        ended = time.monotonic()
        return DatabaseRecord(
            name, stored.snapshot, size, sha256, content, round(between - began, 2), round(ended - between, 2)
        )

    def _store_dump(self, name: str, moment: str) -> Stored:
        assert self._server is not None
        part = f"{DATABASE}:{name}"
        command = dump_command(name, moment)
        return self._count(
            self._restic.store_output(command, stream_path(part), self._tags(part), self._server.environment())
        )

    def _prove_dump(self, name: str, snapshot: str, sha256: str, content: DatabaseContent) -> None:
        """Read the dump back from the storage, decode it to its end, and find in it every row the database had."""
        with self._restic.reading(snapshot, stream_path(f"{DATABASE}:{name}")) as stream:
            read = read_dump(stream)
        if read.sha256 != sha256:
            raise _unproven(f"database {name}", "what was read back is not what was sent")
        differences = row_differences(content, read.rows)
        if differences:
            raise _unproven(f"database {name}", "; ".join(differences[:5]))

    def _store_volume(self, name: str) -> VolumeRecord:
        path = self._volumes.path(self._volume(name))
        assert path is not None
        began = time.monotonic()
        owner, mode = owner_and_mode(path)
        stored = self._count(self._restic.store_tree(str(path), self._tags(f"{VOLUME}:{name}")))
        between = time.monotonic()
        with self._restic.reading(stored.snapshot, str(path), archive=True) as stream:
            found = digest_archive(stream)
        if (found.files, found.bytes) != (stored.files, stored.bytes):
            raise _unproven(
                f"volume {name}",
                f"{found.files} files of {describe_size(found.bytes)} were read back, "
                f"{stored.files} of {describe_size(stored.bytes)} were sent",
            )
        return VolumeRecord(
            name=name,
            snapshot=stored.snapshot,
            path=str(path),
            files=found.files,
            bytes=found.bytes,
            sha256=found.sha256,
            owner=owner,
            mode=mode,
            store_seconds=round(between - began, 2),
            verify_seconds=round(time.monotonic() - between, 2),
        )

    def _vouch(self, manifest: Manifest) -> None:
        """The manifest comes last: with it the run becomes a backup."""
        stored = self._restic.store_text(
            json.dumps(manifest.as_dict(), ensure_ascii=False, sort_keys=True),
            stream_path(MANIFEST),
            self._tags(MANIFEST),
        )
        if read_manifest(self._restic, stored.snapshot) != manifest:
            raise _unproven("the manifest", "what was read back is not what was sent")

    def _forget_expired(self) -> tuple[str, ...]:
        policy = self._request.stack.ops.backup
        assert policy is not None
        backups = find_backups(self._restic, self._request.environment, self._request.stack.name)
        expired = expired_backups(backups, policy.keep, dt.datetime.now(dt.UTC))
        self._restic.forget([snapshot.id for each in expired for snapshot in each.snapshots])
        return tuple(each.run for each in expired)

    def _tags(self, part: str) -> tuple[str, ...]:
        request = self._request
        return snapshot_tags(request.environment, request.stack.name, self._run, part, request.reason)

    def _volume(self, name: str) -> str:
        return self._request.stack.volumes[name].name

    def _count(self, stored: Stored) -> Stored:
        self._added += stored.added
        return stored


def find_backups(restic: Restic, environment: str, stack: str) -> tuple[Backup, ...]:
    """All runs of a stack in the repository, oldest first."""
    entries = restic.snapshots((f"environment={environment}", f"stack={stack}"))
    return group_backups(found for found in map(parse_snapshot, entries) if found)


def read_manifest(restic: Restic, snapshot: str) -> Manifest:
    """The manifest of a run.

    :raises OpsError: when it cannot be read.
    """
    text = restic.read_text(snapshot, stream_path(MANIFEST))
    return parse_manifest(json.loads(text))


def _unproven(part: str, why: str) -> OpsError:
    return OpsError(
        f"{part} was stored, and then not found whole in the storage: {why}",
        where="object storage",
        do="run the backup again; if it happens twice, check the storage before you trust older backups",
    )


def present_outcome(outcome: Outcome) -> list[str]:
    """Lines for people."""
    manifest = outcome.manifest
    lines = [f"Backup {manifest.run} of {manifest.stack} ({manifest.environment}) is stored and verified."]
    for database in manifest.databases:
        lines.append(
            f"  database {database.name}: {describe_size(database.bytes)}, {len(database.content.tables)} tables, "
            f"{database.content.rows} rows; "
            f"stored in {database.dump_seconds} s, read back in {database.verify_seconds} s"
        )
    for volume in manifest.volumes:
        lines.append(
            f"  volume {volume.name}: {volume.files} files, {describe_size(volume.bytes)}; "
            f"stored in {volume.store_seconds} s, read back in {volume.verify_seconds} s"
        )
    lines.append(f"  {describe_size(outcome.added)} sent, {outcome.seconds} s in all")
    if outcome.expired:
        lines.append(f"  no longer kept: {', '.join(outcome.expired)}")
    return lines


def report_outcome(outcome: Outcome) -> dict[str, Any]:
    """For the run's report: figures, and nothing that a table could hold."""
    manifest = outcome.manifest
    databases = [
        {
            "name": each.name,
            "bytes": each.bytes,
            "sha256": each.sha256,
            "tables": len(each.content.tables),
            "rows": each.content.rows,
            "schema_head": each.content.schema_head,
            "dump_s": each.dump_seconds,
            "verify_s": each.verify_seconds,
        }
        for each in manifest.databases
    ]
    volumes = [
        {
            "name": each.name,
            "files": each.files,
            "bytes": each.bytes,
            "sha256": each.sha256,
            "store_s": each.store_seconds,
            "verify_s": each.verify_seconds,
        }
        for each in manifest.volumes
    ]
    return {
        "backup": manifest.run,
        "stack": manifest.stack,
        "environment": manifest.environment,
        "release": manifest.release,
        "reason": manifest.reason,
        "verified": True,
        "databases": databases,
        "volumes": volumes,
        "sent_bytes": outcome.added,
        "backup_s": outcome.seconds,
        "expired": list(outcome.expired),
    }
