"""What of a stack is backed up, and what a backup is: policy, snapshot, backup, manifest.

A *backup* is one run over a stack. Each part of it (a database, a volume) is one snapshot of the repository. The last
snapshot of a run is its *manifest*, written only after every part was read back from the storage and proven. So a run
without a manifest is not a backup, whatever else of it is in the repository.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import quote

from .document import Node
from .errors import OpsError
from .vocabulary import Key, Keys

MANIFEST = "manifest"
DATABASE = "database"
VOLUME = "volume"

_VOLUME_NAME = r"[a-z0-9][a-z0-9_.-]*"


@dataclass(frozen=True)
class Keep:
    """How many backups stay: the newest of each of the last days, weeks and months that have one."""

    daily: int = 7
    weekly: int = 4
    monthly: int = 6


@dataclass(frozen=True)
class BackupPolicy:
    """``x-ops.backup`` of a stack. ``volumes`` are names of the stack file, without the stack's prefix."""

    databases: bool = True
    volumes: tuple[str, ...] = ()
    keep: Keep = field(default_factory=Keep)


KEEP_KEYS = Keys(
    Key("daily", "number", "Days", default="7"),
    Key("weekly", "number", "Weeks", default="4"),
    Key("monthly", "number", "Months", default="6"),
)
BACKUP_KEYS = Keys(
    Key("databases", "true | false", "Whether its databases are", default="true"),
    Key("volumes", "list", "Which of its volumes are"),
    Key("keep", "mapping", "How many backups stay: the newest of each of the last", keys=KEEP_KEYS),
)


def parse_backup(node: Node) -> BackupPolicy:
    """Read ``{databases: true, volumes: [filestore], keep: {daily: 7, weekly: 4, monthly: 6}}``."""
    entries = BACKUP_KEYS.of(node)
    databases = entries["databases"].boolean(True) if "databases" in entries else True
    volumes = _volumes(entries["volumes"]) if "volumes" in entries else ()
    keep = _keep(entries["keep"]) if "keep" in entries else Keep()
    if isinstance(node.value, Mapping) and not databases and not volumes:
        node.reject("a backup of neither databases nor volumes keeps nothing", "name volumes, or take the block away")
    return BackupPolicy(databases, volumes, keep)


def _volumes(node: Node) -> tuple[str, ...]:
    names: list[str] = []
    for item in node.items():
        name = item.text(pattern=_VOLUME_NAME, hint="the name of a volume of this stack")
        if name and name in names:
            item.reject(f"volume '{name}' is named twice", "name it once")
        names.append(name)
    return tuple(names)


def _keep(node: Node) -> Keep:
    entries = KEEP_KEYS.of(node)
    counts = {name: entry.integer(getattr(Keep(), name), least=0, most=3660) for name, entry in entries.items()}
    keep = Keep(**counts)
    if isinstance(node.value, Mapping) and not (keep.daily or keep.weekly or keep.monthly):
        node.reject("this would keep no backup at all", "keep at least one daily, weekly or monthly")
    return keep


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of the repository with the tags a run gives it."""

    id: str
    time: dt.datetime
    environment: str
    stack: str
    run: str
    part: str
    reason: str = "manual"

    @property
    def kind(self) -> str:
        """``database``, ``volume`` or ``manifest``."""
        return self.part.partition(":")[0]

    @property
    def name(self) -> str:
        """Name of the database or volume; empty for a manifest."""
        return self.part.partition(":")[2]

    @property
    def path(self) -> str:
        """Where a streamed part stands in its snapshot."""
        return stream_path(self.part)


def stream_path(part: str) -> str:
    """``/database-acme.dump`` or ``/manifest.json``; of one level, because restic streams into no subdirectory."""
    kind, _, name = part.partition(":")
    return f"/{MANIFEST}.json" if kind == MANIFEST else f"/{kind}-{quote(name, safe='')}.dump"


def snapshot_tags(environment: str, stack: str, run: str, part: str, reason: str) -> tuple[str, ...]:
    """The tags by which a snapshot is found again."""
    return (f"environment={environment}", f"stack={stack}", f"run={run}", f"part={part}", f"reason={reason}")


def parse_snapshot(entry: Mapping[str, Any]) -> Snapshot | None:
    """One entry of ``restic snapshots --json``; None when it is not one of ours."""
    tags = dict(tag.split("=", 1) for tag in entry.get("tags") or () if "=" in tag)
    if not {"environment", "stack", "run", "part"} <= tags.keys():
        return None
    time = dt.datetime.fromisoformat(str(entry["time"]))
    texts = {name: tags[name] for name in ("environment", "stack", "run", "part")}
    return Snapshot(str(entry["id"]), time, **texts, reason=tags.get("reason", "manual"))


@dataclass(frozen=True)
class Backup:
    """All snapshots of one run over one stack."""

    run: str
    snapshots: tuple[Snapshot, ...]

    @property
    def manifest(self) -> Snapshot | None:
        """The proof that the run was finished and verified."""
        return next((each for each in self.snapshots if each.kind == MANIFEST), None)

    @property
    def complete(self) -> bool:
        """Only a run with its manifest can be restored."""
        return self.manifest is not None

    @property
    def time(self) -> dt.datetime:
        """When the run began to store, which is the time its content is of."""
        return min(each.time for each in self.snapshots)

    def part(self, kind: str, name: str) -> Snapshot | None:
        """The snapshot of one database or volume."""
        return next((each for each in self.snapshots if each.part == f"{kind}:{name}"), None)


def group_backups(snapshots: Iterable[Snapshot]) -> tuple[Backup, ...]:
    """Snapshots by run, oldest run first."""
    runs: dict[str, list[Snapshot]] = {}
    for snapshot in sorted(snapshots, key=lambda each: (each.time, each.id)):
        runs.setdefault(snapshot.run, []).append(snapshot)
    return tuple(sorted((Backup(run, tuple(parts)) for run, parts in runs.items()), key=lambda each: each.time))


@dataclass(frozen=True)
class TableContent:
    """Rows of a table and the order-free sum of their hashes, both of the moment of the dump."""

    rows: int
    digest: str


@dataclass(frozen=True)
class DatabaseContent:
    """What a database held in the very snapshot the dump was taken of.

    ``tables`` are keyed ``schema.table``; ``structure`` counts indexes, constraints and so on; ``roles`` own or were
    granted something in it; ``settings`` are the ``name=value`` of ALTER DATABASE; ``grants`` are ``role=PRIVILEGE``
    on the database itself, with an empty role for everybody; ``provider`` is PostgreSQL's letter of the locale
    provider.
    """

    tables: dict[str, TableContent]
    structure: dict[str, int]
    owner: str
    encoding: str
    collate: str
    ctype: str
    provider: str
    locale: str
    server_version: str
    schema_head: str
    roles: tuple[str, ...]
    settings: tuple[str, ...]
    grants: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables.values())


@dataclass(frozen=True)
class DatabaseRecord:
    """A database in a manifest: what was stored, and what was proven by reading it back."""

    name: str
    snapshot: str
    bytes: int
    sha256: str
    content: DatabaseContent
    dump_seconds: float
    verify_seconds: float


@dataclass(frozen=True)
class VolumeRecord:
    """A volume in a manifest. ``sha256`` is over the sorted list of path, size and hash of every file."""

    name: str
    snapshot: str
    path: str
    files: int
    bytes: int
    sha256: str
    owner: str
    mode: int
    store_seconds: float
    verify_seconds: float


@dataclass(frozen=True)
class Manifest:
    """What one run stored and proved."""

    run: str
    environment: str
    stack: str
    time: str
    reason: str
    release: str
    tools: dict[str, str]
    databases: tuple[DatabaseRecord, ...]
    volumes: tuple[VolumeRecord, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def parse_manifest(tree: Mapping[str, Any]) -> Manifest:
    """Read what :meth:`Manifest.as_dict` wrote.

    :raises OpsError: when the manifest is of another shape, which says that another program wrote it.
    """
    try:
        databases = tuple(_database_record(each) for each in tree["databases"])
        volumes = tuple(VolumeRecord(**each) for each in tree["volumes"])
        return Manifest(**{**tree, "databases": databases, "volumes": volumes})
    except (KeyError, TypeError, AttributeError) as error:
        raise OpsError(
            f"the manifest of this backup cannot be read: {error}",
            where=f"backup {tree.get('run', '')}".strip(),
            do="choose another backup; restore.yml --check lists them",
        ) from error


def _database_record(tree: Mapping[str, Any]) -> DatabaseRecord:
    content = dict(tree["content"])
    tables = {name: TableContent(**table) for name, table in content["tables"].items()}
    lists = {name: tuple(content[name]) for name in ("roles", "settings", "grants")}
    return DatabaseRecord(**{**tree, "content": DatabaseContent(**{**content, "tables": tables, **lists})})
