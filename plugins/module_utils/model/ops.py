"""What Compose cannot say: ``x-ops`` of a stack file."""

from __future__ import annotations

from dataclasses import dataclass, field

from .backup import BACKUP_KEYS, BackupPolicy, parse_backup
from .database import DATABASE_KEYS, Database, parse_database
from .document import Node
from .route import ROUTE_KEYS, Route, parse_routes
from .smoke import SMOKE_KEYS, SmokeTest, parse_smoke
from .vocabulary import Key, Keys
from .watch import WATCH_KEYS, WatchPolicy, parse_watch


@dataclass(frozen=True)
class Migration:
    """How the stack migrates its schema: a command in the image of ``service``; ``timeout`` in seconds."""

    service: str
    command: tuple[str, ...]
    timeout: float = 600


@dataclass(frozen=True)
class Ops:
    """What Compose cannot say (``x-ops``). ``drain_limit`` in seconds."""

    summary: str = ""
    releases: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    release_header: str = "X-Release"
    smoke: tuple[SmokeTest, ...] = ()
    database: Database | None = None
    migrate: Migration | None = None
    backup: BackupPolicy | None = None
    drain_limit: float = 30
    standby: str = "running"
    watch: WatchPolicy = field(default_factory=WatchPolicy)


MIGRATION_KEYS = Keys(
    Key("service", "released service", "Whose image the command runs in", lambda node: node.text(), required=True),
    Key("command", "list", "The command", Node.texts, required=True),
    Key("timeout", "duration", "After which it has failed", lambda node: node.seconds(600), default="10m"),
)


def _migration(node: Node) -> Migration:
    found = MIGRATION_KEYS.read(node)
    if "service" not in found or "command" not in found:
        node.reject("a migration needs service and command")
    return Migration(**{"service": "", "command": (), **found})


def _once(node: Node) -> tuple[str, ...]:
    names = node.texts()
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            node.reject(f"'{name}' is named twice", "name it once")
    return tuple(dict.fromkeys(names))


def _header(node: Node) -> str:
    return node.text(Ops.release_header, pattern=r"[A-Za-z0-9-]+", hint="a header's name")


OPS_KEYS = Keys(
    Key("summary", "text", "What the stack is, for readers and reports", lambda node: node.text()),
    Key("releases", "list of services", "Services that a release replaces, the routed one first", _once),
    Key("routes", "list", "What the edge leads to a released service", parse_routes, keys=ROUTE_KEYS),
    Key("release_header", "text", "Header by which an answer tells its release", _header, default=Ops.release_header),
    Key("smoke", "list", "What a release must answer before it may serve", parse_smoke, keys=SMOKE_KEYS),
    Key("database", "mapping", "The database its application connects to", parse_database, keys=DATABASE_KEYS),
    Key("migrate", "mapping", "How its schema is migrated", _migration, keys=MIGRATION_KEYS),
    Key("backup", "mapping", "What of it is backed up", parse_backup, keys=BACKUP_KEYS),
    Key("drain_limit", "duration", "Time the old release has to finish what it began",
        lambda node: node.seconds(Ops.drain_limit), default="30s"),
    Key("standby", "running | stopped", "How the old release waits for being needed again",
        lambda node: node.choice(("running", "stopped"), "running"), default="running"),
    Key("watch", "mapping", "How a release is watched after it went live, and what takes it back", parse_watch,
        keys=WATCH_KEYS, default="15 minutes, by its errors and its health"),
)  # fmt: skip
