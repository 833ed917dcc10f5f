"""What is wanted of a host below its stacks, and what was seen: directories, links, files, what follows them, units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import OpsError

FOLLOW_UPS = ("restart", "reload", "command")


@dataclass(frozen=True)
class FollowUp:
    """What brings a changed file in force: ``restart`` or ``reload`` of a unit, or a ``command`` with arguments."""

    kind: str
    words: tuple[str, ...]

    @property
    def unit(self) -> str:
        """The unit it acts on, or an empty string for a command."""
        return "" if self.kind == "command" else self.words[0]

    @property
    def argv(self) -> tuple[str, ...]:
        return self.words if self.kind == "command" else ("systemctl", self.kind, *self.words)

    def __str__(self) -> str:
        return " ".join(self.words if self.kind == "command" else (self.kind, *self.words))


@dataclass(frozen=True)
class Directory:
    """``mode`` as in chmod; owned by root."""

    path: str
    mode: int


@dataclass(frozen=True)
class Link:
    """A symbolic link to a ``target`` that has to exist."""

    path: str
    target: str


@dataclass(frozen=True)
class File:
    """A text file owned by root. ``validate`` is a command; ``%s`` in it stands for the file before it is placed."""

    path: str
    content: str
    mode: int
    validate: tuple[str, ...] = ()
    follow_up: FollowUp | None = None


@dataclass(frozen=True)
class Unit:
    """A systemd unit that is ``running`` (and starts at boot), starts ``at_boot`` alone, or is ``masked``.

    ``probe`` is a command that succeeds while the running unit's effect is there; where it fails the unit is reloaded.
    """

    name: str
    state: str
    probe: tuple[str, ...] = ()


@dataclass(frozen=True)
class HostState:
    """Everything that one call wants of a host."""

    directories: tuple[Directory, ...] = ()
    links: tuple[Link, ...] = ()
    files: tuple[File, ...] = ()
    units: tuple[Unit, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(item.path for item in self.places)

    @property
    def places(self) -> tuple[Directory | Link | File, ...]:
        """All that has a path, in the order in which it is made."""
        return (*self.directories, *self.links, *self.files)


@dataclass(frozen=True)
class ObservedPath:
    """``kind`` is file, directory, link or other; ``content`` the text of a file, the target of a link, else None."""

    kind: str
    mode: int
    owned_by_root: bool
    content: str | None = None


@dataclass(frozen=True)
class ObservedUnit:
    """As systemd tells it. ``skipped``: it was started, and its own conditions say that it does not apply here."""

    load_state: str = "not-found"
    file_state: str = ""
    active: bool = False
    skipped: bool = False
    probed: bool = True


@dataclass(frozen=True)
class ObservedHost:
    """``pending``: follow-ups that an earlier run owed when it was interrupted."""

    paths: Mapping[str, ObservedPath] = field(default_factory=dict)
    units: Mapping[str, ObservedUnit] = field(default_factory=dict)
    pending: tuple[FollowUp, ...] = ()

    def unit(self, name: str) -> ObservedUnit:
        return self.units.get(name, ObservedUnit())


def parse_host(params: Mapping[str, Any]) -> HostState:
    """Read the arguments of the module ``host_setup``, whose types its argument spec has checked.

    :raises OpsError: for a mode that is not octal, or a path given twice.
    """
    wanted = HostState(
        directories=tuple(Directory(entry["path"], _mode(entry)) for entry in params["directories"]),
        links=tuple(Link(entry["path"], entry["target"]) for entry in params["links"]),
        files=tuple(_file(entry) for entry in params["files"]),
        units=tuple(Unit(entry["name"], entry["state"], tuple(entry["probe"] or ())) for entry in params["units"]),
    )
    seen: set[str] = set()
    for path in wanted.paths:
        if path in seen:
            raise OpsError("this path is wanted twice", where=path, do="keep one of the two entries")
        seen.add(path)
    return wanted


def _file(entry: Mapping[str, Any]) -> File:
    follow_up = next((_follow_up(kind, entry[kind]) for kind in FOLLOW_UPS if entry[kind]), None)
    return File(entry["path"], entry["content"], _mode(entry), tuple(entry["validate"] or ()), follow_up)


def _follow_up(kind: str, value: str | list[str]) -> FollowUp:
    return FollowUp(kind, (value,) if isinstance(value, str) else tuple(value))


def _mode(entry: Mapping[str, Any]) -> int:
    try:
        return int(entry["mode"], 8)
    except ValueError:
        raise OpsError(
            f"'{entry['mode']}' is not a mode",
            where=entry["path"],
            do="write octal digits in quotes, such as '0644'",
        ) from None
