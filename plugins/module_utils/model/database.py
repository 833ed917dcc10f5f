"""The database of a stack, as `x-ops.database` of its file declares it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from .document import Node, nearest
from .vocabulary import Key, Keys

TLS_MODES = ("disable", "require", "verify-ca", "verify-full")
REFUSE, STOP_FIRST = "refuse", "stop_first"
VERIFYING_MODES = ("verify-ca", "verify-full")

_HOST = r"[A-Za-z0-9](?:[A-Za-z0-9.:_-]*[A-Za-z0-9])?"
_ENVIRONMENT_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
# PostgreSQL cuts a longer name without a word, so that two databases would become one.
_NAME_BYTES = 63
_NAME = re.compile(r"[^\s,\x00]+")
_POSTGRESQL_PORT = 5432


@dataclass(frozen=True)
class ConfiguredBy:
    """Names of the environment variables that tell the application itself; empty text where it takes none.

    ``tls`` holds a libpq mode or true/false; ``tls_verify`` is true/false and says whether the certificate is checked
    (the style of Node.js applications: DATABASE_URL, DATABASE_SSL, DATABASE_SSL_REJECT_UNAUTHORIZED).
    """

    host: str = ""
    port: str = ""
    user: str = ""
    password: str = ""
    password_file: str = ""
    url: str = ""
    tls: str = ""
    tls_verify: str = ""
    ca_file: str = ""
    names: str = ""


CONFIGURED_BY_KEYS = Keys(
    Key("host", "name of a variable", "The server"),
    Key("port", "name of a variable", "Its port"),
    Key("user", "name of a variable", "The role"),
    Key("password", "name of a variable", "The password itself"),
    Key("password_file", "name of a variable", "The file that holds the password"),
    Key("url", "name of a variable", "All of it as a URL"),
    Key("tls", "name of a variable", "A libpq mode, or true and false"),
    Key("tls_verify", "name of a variable", "true or false: whether the certificate is checked"),
    Key("ca_file", "name of a variable", "The file that holds the certificate authority"),
    Key("names", "name of a variable", "The databases"),
)
DATABASE_KEYS = Keys(
    Key("engine", "postgresql", "What it is", default="postgresql"),
    Key("host", "name or address", "The server outside the stack; this or service"),
    Key("service", "service", "The accessory that runs it; this or host"),
    Key("port", "number", "Its port", default="5432"),
    Key("user", "text", "The role the application logs in as", required=True),
    Key("password", "secret", "The secret that holds the password", required=True),
    Key("names", "list | text with commas", "The databases", required=True),
    Key(
        "tls", " | ".join(TLS_MODES), "How the connection is protected", default="disable, and said where host is given"
    ),
    Key("ca", "config", "The config that holds the certificate authority, for the verifying modes"),
    Key("pool", "number", "Connections one release may hold", default="10"),
    Key(
        "when_short",
        f"{REFUSE} | {STOP_FIRST}",
        "What a deploy does when the server cannot hold the pools of both releases",
        default=REFUSE,
        note="`stop_first` stops the old release before the new one starts: nobody is served meanwhile.",
    ),
    Key("configured_by", "mapping", "Which environment variables tell the application", keys=CONFIGURED_BY_KEYS),
)


@dataclass(frozen=True)
class Database:
    """What a stack's application connects to.

    Exactly one of ``host`` (a name or address outside the stack) and ``service`` (an accessory of the same stack) is
    set. ``password`` and ``ca`` name a Compose secret and a Compose config. ``pool`` is the number of connections one
    release may hold at a time; ``when_short`` is "refuse" or "stop_first".
    """

    user: str
    password: str
    names: tuple[str, ...]
    engine: str = "postgresql"
    host: str = ""
    service: str = ""
    port: int = _POSTGRESQL_PORT
    tls: str = "disable"
    ca: str = ""
    pool: int = 10
    when_short: str = REFUSE
    configured_by: ConfiguredBy = field(default_factory=ConfiguredBy)

    @property
    def address(self) -> str:
        """The name by which the application reaches the server: the host, or the accessory's service name."""
        return self.host or self.service


def parse_database(node: Node) -> Database:
    """Read one `x-ops.database` block; everything that is wrong is collected in the node's errors."""
    entries = DATABASE_KEYS.of(node)

    def entry(key: str) -> Node:
        return entries.get(key, node.child(key, None))

    for key in ("user", "password", "names"):
        if entry(key).value in (None, "", [], ()):
            entry(key).reject(f"the database needs '{key}'", _NEEDED[key])
    database = Database(
        engine=entry("engine").choice(("postgresql",), "postgresql"),
        host=entry("host").text(pattern=f"|{_HOST}", hint="a host name or address"),
        service=entry("service").text(),
        port=entry("port").integer(_POSTGRESQL_PORT, least=1, most=65535),
        user=entry("user").text(),
        password=entry("password").text(pattern=f"|{_ENVIRONMENT_NAME}", hint="the name of a secret"),
        names=_names(entry("names")),
        tls=entry("tls").choice(TLS_MODES, "disable"),
        ca=entry("ca").text(),
        pool=entry("pool").integer(10, least=1, most=10000),
        when_short=entry("when_short").choice((REFUSE, STOP_FIRST), REFUSE),
        configured_by=_configured_by(entry("configured_by")),
    )
    _reject_contradictions(node, database, declared_tls="tls" in entries)
    return database


_NEEDED = {
    "user": "name the role the application logs in as",
    "password": "name the secret that holds the password",
    "names": "list the databases, or give them as one text with commas",
}


def reject_unknown_references(
    node: Node,
    database: Database,
    *,
    services: Collection[str],
    configs: Collection[str],
    secrets: Collection[str],
) -> None:
    """Collect an error for each service, config or secret the block names and the stack does not have."""
    references = (("service", "service", services), ("ca", "config", configs), ("password", "secret", secrets))
    for key, kind, known in references:
        name = getattr(database, key)
        if name and name not in known:
            guess = nearest(name, known)
            accepted = ", ".join(sorted(known)) or "none"
            do = f"did you mean '{guess}'?" if guess else f"declare it, or use one of: {accepted}"
            node.child(key, name).reject(f"the stack has no {kind} '{name}'", do)


def _names(node: Node) -> tuple[str, ...]:
    names = node.texts(split=",")
    seen: set[str] = set()
    for name in names:
        if not _NAME.fullmatch(name) or len(name.encode()) > _NAME_BYTES:
            node.reject(
                f"'{name}' is not a database name",
                f"use at most {_NAME_BYTES} bytes, without blanks and commas",
            )
        if name in seen:
            node.reject(f"database '{name}' is listed twice", "remove one of the two")
        seen.add(name)
    return names


def _configured_by(node: Node) -> ConfiguredBy:
    texts = {
        key: entry.text(pattern=_ENVIRONMENT_NAME, hint="the name of an environment variable")
        for key, entry in CONFIGURED_BY_KEYS.of(node).items()
    }
    told = ConfiguredBy(**texts)
    if texts and not (told.host or told.url):
        node.reject(
            "nothing says by which variable the application learns the host",
            "add 'host' or 'url' with the name of that variable",
        )
    return told


def _reject_contradictions(node: Node, database: Database, *, declared_tls: bool) -> None:
    if database.host and database.service:
        node.reject("both 'host' and 'service' are given", "keep 'service' for an accessory of the stack, else 'host'")
    if not database.host and not database.service:
        node.reject("neither 'host' nor 'service' is given", "name the server, or the accessory that runs it")
    if database.host and not declared_tls:
        node.reject(
            "a database outside the stack needs 'tls'",
            "choose verify-full, or say disable when its traffic may be read on the way",
        )
    if database.tls in VERIFYING_MODES and not database.ca:
        node.reject(f"tls {database.tls} needs 'ca'", "name the config that holds the certificate authority (PEM)")
    if database.ca and database.tls not in VERIFYING_MODES:
        node.reject(
            f"'ca' is given, but tls {database.tls} does not verify the certificate",
            "set tls: verify-full, or remove 'ca'",
        )
