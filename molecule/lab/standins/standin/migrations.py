"""Which schema migrations a release has, and which of them a database still needs. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent / "schemas"


class ChangedMigration(Exception):
    """An applied migration is not the text that was applied."""


@dataclass(frozen=True)
class Migration:
    """One numbered SQL file."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True)
class MigrationPlan:
    """What is there, what is to be done, and what only a newer release knows."""

    applied: tuple[str, ...]
    pending: tuple[Migration, ...]
    unknown: tuple[str, ...]

    @property
    def head(self) -> str | None:
        """The newest applied migration, or None."""
        return max((*self.applied, *self.unknown), default=None)

    def as_dict(self) -> dict[str, object]:
        """For the status document."""
        return {
            "head": self.head,
            "applied": list(self.applied),
            "pending": [migration.name for migration in self.pending],
            "unknown": list(self.unknown),
        }


def load_migrations(profile: str, *, better: bool, broken: bool, root: Path = ROOT) -> tuple[Migration, ...]:
    """The migrations of a release in order: those of every release, plus its edition's."""
    folder = root / profile
    folders = [folder, *([folder / "better"] if better else []), *([folder / "broken"] if broken else [])]
    files = [file for each in folders for file in each.glob("[0-9]*.sql")]
    return tuple(Migration(file.stem, file.read_text("utf-8")) for file in sorted(files, key=lambda file: file.name))


def plan_migrations(wanted: Iterable[Migration], observed: Mapping[str, str]) -> MigrationPlan:
    """Compare a release's migrations with a database's (name to checksum).

    A gap is filled, and migrations only the database knows are left alone: a release must run on the schema of its
    successor, or nothing could be rolled back. Raises ChangedMigration when an applied text has changed.
    """
    wanted = tuple(wanted)
    for migration in wanted:
        if observed.get(migration.name, migration.checksum) != migration.checksum:
            raise ChangedMigration(f"migration {migration.name} was applied with another text than this release has")
    known = {migration.name for migration in wanted}
    return MigrationPlan(
        applied=tuple(sorted(known & observed.keys())),
        pending=tuple(migration for migration in wanted if migration.name not in observed),
        unknown=tuple(sorted(observed.keys() - known)),
    )


def shared_head(heads: Iterable[str | None]) -> str | None:
    """The head all databases share, ``mixed`` when they differ, None when there is none."""
    different = set(heads)
    if len(different) > 1:
        return "mixed"
    return different.pop() if different else None
