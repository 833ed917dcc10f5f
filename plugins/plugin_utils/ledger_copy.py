"""This controller's copy of the ledger: it spares reading what is known, and it is a witness of what was there.

It is never believed over the bucket: where the two differ, that is told.
"""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..module_utils.model.errors import OpsError


@dataclass(frozen=True)
class Kept:
    """An entry's text, and the storage's mark of that content."""

    text: str
    mark: str


class LedgerCopy:
    """A file that only grows, a line for each entry. Several runs may use it at once."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> dict[int, Kept]:
        """What is kept, by number. A line that a crash has cut is as if it were not there."""
        try:
            lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unusable(error) from error
        found: dict[int, Kept] = {}
        for line in lines:
            try:
                number, mark, text = json.loads(line)
                found[int(number)] = Kept(str(text), str(mark))
            except (ValueError, TypeError):
                continue
        return found

    def add(self, entries: Mapping[int, Kept]) -> None:
        """Keep more entries."""
        if entries:
            self._write(entries.items(), "a")

    def replace(self, entries: Mapping[int, Kept]) -> None:
        """Keep these instead of what is kept: it does not hold together any more."""
        self._write(entries.items(), "w")

    def _write(self, entries: Iterable[tuple[int, Kept]], mode: str) -> None:
        lines = [json.dumps([number, kept.mark, kept.text], ensure_ascii=False) for number, kept in entries]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open(mode, encoding="utf-8") as handle:
                fcntl.flock(handle, fcntl.LOCK_EX)
                # The line before may have been cut by a crash; an empty one is passed over.
                handle.write("".join(f"\n{line}\n" for line in lines))
        except OSError as error:
            raise self._unusable(error) from error

    def _unusable(self, error: OSError) -> OpsError:
        return OpsError(
            f"this machine's copy of the ledger cannot be used: {error.strerror or error}",
            where=str(self.path),
            do="free the disk or mend its permissions; without its copy this machine is no witness of the ledger",
        )
