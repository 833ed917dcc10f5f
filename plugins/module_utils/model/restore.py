"""What a restore meets: the database or volume it goes into, who is there, and the names it works under."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_LOADING = "_ops_load_"


@dataclass(frozen=True)
class Session:
    """Who is connected to a database."""

    user: str
    application: str
    address: str

    def __str__(self) -> str:
        return f"{self.application or 'a client'} as {self.user} from {self.address or 'the server itself'}"


@dataclass(frozen=True)
class DatabaseTarget:
    """The database to restore into, as it is now."""

    name: str
    exists: bool = False
    tables: int = 0
    sessions: tuple[Session, ...] = field(default_factory=tuple)
    may_create: bool = True
    owned: bool = True
    leftovers: tuple[str, ...] = ()


@dataclass(frozen=True)
class VolumeTarget:
    """The volume to restore into, as it is now. ``free`` is in bytes."""

    name: str
    exists: bool = False
    entries: int = 0
    used_by: tuple[str, ...] = ()
    free: int = 0


def loading_name(name: str, mark: str) -> str:
    """The name under which a database is loaded. PostgreSQL cuts names at 63 bytes, so the base is cut first."""
    return f"{_cut(name)}{_LOADING}{mark}"


def previous_name(name: str, mark: str) -> str:
    """The name of a replaced database between the swap and its removal."""
    return f"{_cut(name)}_ops_before_{mark}"


def is_leftover(name: str, target: str) -> bool:
    """Whether a database was half loaded for this target. What a swap put aside is whole, and is never one."""
    return bool(re.fullmatch(re.escape(_cut(target) + _LOADING) + "[0-9a-z]+", name))


def _cut(name: str) -> str:
    return name.encode()[:40].decode(errors="ignore")
