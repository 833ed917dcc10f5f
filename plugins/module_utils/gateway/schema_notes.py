"""Where each release of a stack found its schema: one small file beside the records, gone with them."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from .host_state import HostState, write_file


def note_schema(state: HostState, stack: str, number: int, known: frozenset[str], applied: frozenset[str]) -> None:
    """Keep which migrations a release has, and which were applied when it went live."""
    text = json.dumps({"known": sorted(known), "applied": sorted(applied)}, ensure_ascii=False)
    write_file(_folder(state, stack) / f"{number}.json", text)


def noted_schemas(state: HostState, stack: str) -> dict[int, tuple[frozenset[str], frozenset[str]]]:
    """What is known of each release: its migrations, and those that were applied. What cannot be read is not known."""
    found: dict[int, tuple[frozenset[str], frozenset[str]]] = {}
    folder = _folder(state, stack)
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        with suppress(OSError, ValueError, KeyError, TypeError):
            note = json.loads(path.read_text())
            found[int(path.stem)] = frozenset(note["known"]), frozenset(note["applied"])
    return found


def _folder(state: HostState, stack: str) -> Path:
    return state.root / "stacks" / stack / "records" / "schema"
