"""What a running application was told about its database, and what was seen on the way to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# In the order a connection passes them; the first broken one is the verdict.
LAYERS = ("configuration", "dns", "tcp", "tls", "authentication", "database", "session", "query")
# All modes libpq knows; a stack file accepts the four honest ones only (model.database.TLS_MODES).
TLS_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
OK = "ok"

Facts = dict[str, Any]


@dataclass(frozen=True)
class Connection:
    """Settings of one connection, as the application understands them.

    ``tls`` is one of :data:`TLS_MODES`; ``ca`` is PEM text, or empty for the authorities of the system.
    ``trusted_path`` is false for an experiment of ours: then a password is never sent in the clear.
    """

    host: str
    port: int
    user: str
    names: tuple[str, ...]
    password: str = field(default="", repr=False)
    tls: str = "prefer"
    ca: str = ""
    trusted_path: bool = True

    @property
    def verifies(self) -> bool:
        """Whether the server's certificate is checked (libpq also does it for `require` with a CA at hand)."""
        return self.tls in ("verify-ca", "verify-full") or (self.tls == "require" and bool(self.ca))


@dataclass(frozen=True)
class FileSeen:
    """A file as the application sees it: ``state`` is ok, missing, unreadable or not_a_file."""

    state: str
    text: str = field(default="", repr=False)
    detail: str = ""


@dataclass(frozen=True)
class Container:
    """The container that runs (or ran) the application; ``pid`` is 0 when it does not run.

    ``mounts`` maps destinations inside to sources on the host. ``networks`` are Docker network names.
    """

    name: str
    state: str
    pid: int
    environment: Mapping[str, str] = field(repr=False)
    mounts: Mapping[str, str]
    networks: tuple[str, ...]
    release: str = ""
    exit_code: int = 0
    declared_only: bool = False


@dataclass(frozen=True)
class Observation:
    """One thing seen at one layer. ``code`` is ``ok`` or a word of plan.causes; times are in milliseconds.

    ``database`` is empty for what all databases of the server share.
    """

    layer: str
    code: str = OK
    facts: Facts = field(default_factory=dict)
    ms: float = 0.0
    database: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing was wrong here."""
        return self.code == OK

    def as_dict(self) -> dict[str, Any]:
        """Plain values, to cross a pipe or to be recorded in a test case."""
        return asdict(self)
