"""The differences from Compose that we mean: data in declared.yml, each with its reason; and the page made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

DECLARED = Path(__file__).parent / "declared.yml"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "compose-differences.md"
KINDS = {
    "hardening": "Safer than Compose unless the stack file says otherwise",
    "ours": "Ours by design",
    "identity": "Whose it is and what it is called",
    "notation": "The same, said otherwise",
}
# Lists that the engine reads as sets; Compose writes them in another order each time.
_SETS = ("Config.Env", "HostConfig.CapAdd", "HostConfig.CapDrop", "HostConfig.ExtraHosts", "HostConfig.Ulimits")


@dataclass(frozen=True)
class Difference:
    """One place where two containers differ. ``level`` is ``settings`` or ``inspect``."""

    level: str
    path: str
    ours: Any
    compose: Any

    def __str__(self) -> str:
        return f"{self.level} {self.path}: ours {self.ours!r}, compose {self.compose!r}"


@dataclass(frozen=True)
class Place:
    """A pattern of paths, and the values that either side then has."""

    level: str
    pattern: str
    values: Mapping[str, Any]

    def covers(self, difference: Difference) -> bool:
        """Whether this is the difference that is meant."""
        return (
            difference.level == self.level
            and fnmatchcase(difference.path, self.pattern)
            and all(getattr(difference, side) == value for side, value in self.values.items())
        )


@dataclass(frozen=True)
class Declared:
    """A difference that is meant; ``settings`` and ``inspect`` are patterns of paths, with the values that count."""

    name: str
    kind: str
    why: str
    settings: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    inspect: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)

    @property
    def places(self) -> tuple[Place, ...]:
        """Where it may be seen."""
        levels = {"settings": self.settings, "inspect": self.inspect}
        return tuple(
            Place(level, pattern, values or {}) for level, at in levels.items() for pattern, values in at.items()
        )


def declared() -> list[Declared]:
    """All of them, in the order of the file."""
    return [Declared(**entry) for entry in yaml.safe_load(DECLARED.read_text())]


def flattened(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every leaf of an inspect with its path. Lists are leaves; what is null, [] or {} is nothing."""
    if path in _SETS and value:
        value = sorted(value, key=str)
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from flattened(entry, f"{path}.{key}" if path else key)
    elif value not in (None, []):
        yield path, value


def compared(level: str, ours: Mapping[str, Any], compose: Mapping[str, Any]) -> list[Difference]:
    """Every place where the two differ."""
    left, right = (dict(flattened(one)) for one in (ours, compose))
    return [
        Difference(level, path, left.get(path), right.get(path))
        for path in sorted({*left, *right})
        if left.get(path) != right.get(path)
    ]


def page() -> str:
    """The page for people."""
    lines = [
        "# Where our containers differ from Compose's",
        "",
        "A stack file is a Compose file, and `docker compose` would make the same containers of it, save these",
        "differences. `tests/differential` proves it: what both make of the same files is compared field by field of",
        "`docker inspect`; a difference that is not here fails, and so does one that is here and never occurs.",
        "",
        "Generated from [tests/differential/declared.yml](../tests/differential/declared.yml) by",
        "`bin/render_compose_differences.py`.",
    ]
    for kind, title in KINDS.items():
        lines += ["", f"## {title}", "", "| difference | in `docker inspect` | why |", "|---|---|---|"]
        lines += [_row(entry) for entry in declared() if entry.kind == kind]
    return "\n".join(lines) + "\n"


def _row(entry: Declared) -> str:
    fields = ", ".join(f"`{path}`" for path in entry.inspect)
    return f"| {entry.name} | {fields} | {' '.join(entry.why.split())} |"
