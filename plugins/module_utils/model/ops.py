"""What Compose cannot say: ``x-ops`` of a stack file."""

from __future__ import annotations

from dataclasses import dataclass, field

from .backup import BACKUP_KEYS, BackupPolicy, parse_backup
from .database import DATABASE_KEYS, Database, parse_database
from .document import Node
from .route import ROUTE_KEYS, Route, parse_routes
from .smoke import SMOKE_KEYS, SmokeTest, parse_smoke
from .switching import (
    ASSET_KEYS,
    KEEP,
    RUNNING,
    STANDBY,
    Asset,
    Notice,
    parse_assets,
    parse_notice,
)
from .vocabulary import Key, Keys
from .watch import WATCH_KEYS, WatchPolicy, parse_watch


@dataclass(frozen=True)
class GoingBack:
    """Patterns of the names of migrations (``*_add_*``), by what they mean to a release that does not know them."""

    safe: tuple[str, ...] = ()
    script: tuple[str, ...] = ()
    impossible: tuple[str, ...] = ()


@dataclass(frozen=True)
class Migration:
    """How the stack migrates its schema: a command in the image of ``service``; ``timeout`` in seconds.

    ``status`` is a command that prints what is applied, as JSON; ``going_back`` says of migrations, by patterns of
    their names, what an older release makes of them.
    """

    service: str
    command: tuple[str, ...]
    timeout: float = 600
    status: tuple[str, ...] = ()
    going_back: GoingBack = field(default_factory=GoingBack)


@dataclass(frozen=True)
class Ops:
    """What Compose cannot say (``x-ops``).

    ``drain_limit`` and ``standby_for`` in seconds; a ``standby_for`` of 0 has no end.
    """

    summary: str = ""
    releases: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    release_header: str = "X-Release"
    smoke: tuple[SmokeTest, ...] = ()
    database: Database | None = None
    migrate: Migration | None = None
    backup: BackupPolicy | None = None
    drain_limit: float = 30
    drain_notice: Notice | None = None
    standby: str = RUNNING
    standby_for: float = 0
    keep: int = KEEP
    assets: tuple[Asset, ...] = ()
    watch: WatchPolicy = field(default_factory=WatchPolicy)


GOING_BACK_KEYS = Keys(
    Key("safe", "list of patterns", "An older release works with them in place", Node.texts),
    Key("script", "list of patterns", "They have to be taken back by a script first", Node.texts),
    Key("impossible", "list of patterns", "Nothing leads back over them but a restored backup", Node.texts),
)
MIGRATION_KEYS = Keys(
    Key("service", "released service", "Whose image the command runs in", lambda node: node.text(), required=True),
    Key("command", "list", "The command", Node.texts, required=True),
    Key("timeout", "duration", "After which it has failed", lambda node: node.seconds(600), default="10m"),
    Key("status", "list", "A command that prints as JSON which migrations are applied and pending", Node.texts,
        note="One document: `{databases: {<name>: {applied: [...], pending: [...], unknown: [...]}}}`; `unknown` are "
             "applied ones that the release does not know, and may be left out."),
    Key("going_back", "mapping", "What an older release makes of migrations, by patterns of their names",
        lambda node: GoingBack(**GOING_BACK_KEYS.read(node)), keys=GOING_BACK_KEYS),
)  # fmt: skip


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
    Key("drain_notice", "signal | list", "What tells the old release, once it is left, to close its web sockets: a "
        "signal, or a command in its container", parse_notice, example="drain_notice: SIGUSR1",
        note="The release goes on, to be returned to. A signal that it has no handler for would end it."),
    Key("standby", " | ".join(STANDBY), "How the old release waits for being needed again",
        lambda node: node.choice(STANDBY, RUNNING), default=RUNNING),
    Key("standby_for", "duration", "How long it waits so; then it is stopped, and a return takes as long as a start",
        lambda node: node.seconds(0), default="until the next release takes its place"),
    Key("keep", "number", "How many good releases keep their images here, to be returned to without a registry",
        lambda node: node.integer(KEEP, least=2, most=100), default=str(KEEP)),
    Key("assets", "list", "Files that the old release still answers for after a switch, where the new one has none",
        parse_assets, keys=ASSET_KEYS, example="assets: [{path: /_next/static, for: 1h}]"),
    Key("watch", "mapping", "How a release is watched after it went live, and what takes it back", parse_watch,
        keys=WATCH_KEYS, default="15 minutes, by its errors and its health"),
)  # fmt: skip
