"""Telling the story: headings and figures on the terminal, and build/demo.json, written anew after each act."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

# Named in the file from the beginning: a reader sees what has not been measured.
FIGURES = (
    "requests", "failed", "longest_gap_s", "p50_ms", "p99_ms", "provision_s", "converge_s", "deploy_s", "refused_s",
    "rollback_s", "diagnose_s", "total_s",
)  # fmt: skip


@dataclass
class Act:
    """One act: what was measured in it, as ``details``, and told below it."""

    name: str
    title: str
    details: dict[str, Any] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def measured(self, sentence: str, **details: Any) -> None:
        """Tell one sentence when the act ends, and keep the figures it is made of."""
        self.told.append(sentence)
        self.details.update(details)


class Story:
    """What is told, and kept in the file at ``path``."""

    def __init__(self, path: Path, acts: int, console: Console | None = None) -> None:
        self._path = path
        self._acts = acts
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._began = time.monotonic()
        self._record: dict[str, Any] = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "outcome": "unfinished",
            "error": None,
            **dict.fromkeys(FIGURES),
            "releases_seen": [],
            "acts": [],
        }

    def measured(self, **figures: Any) -> None:
        """Keep figures of the whole story."""
        self._record.update(figures)

    def say(self, text: str, style: str = "") -> None:
        """Print one line, coloured on a terminal."""
        self._console.print(Text(text, style=style))

    @contextmanager
    def act(self, name: str, title: str) -> Iterator[Act]:
        """Announce an act, and when it is over tell what was measured; an act that fails is kept as far as it came."""
        act = Act(name, title)
        number, began = len(self._record["acts"]) + 1, time.monotonic()
        entry: dict[str, Any] = {"name": name, "title": title, "outcome": "unfinished"}
        self._record["acts"].append(entry)
        self._console.print()
        self.say(f"━━ Act {number} of {self._acts} · {title}", "bold cyan")
        try:
            yield act
            entry["outcome"] = "done"
        finally:
            entry["seconds"] = round(time.monotonic() - began, 1)
            entry.update(act.details)
            for line in act.told:
                self.say(f"   → {line}", "green" if entry["outcome"] == "done" else "yellow")
            self.write()

    def end(self, outcome: str, error: str | None = None) -> None:
        """Write how it ended: ``told``, ``failed`` or ``interrupted``, and why."""
        self._record.update(outcome=outcome, error=error)
        self.write()

    @property
    def now(self) -> str:
        """The act that is on, or was last: ``act 3, converge``."""
        acts = self._record["acts"]
        return f"act {len(acts)}, {acts[-1]['name']}" if acts else "before the first act"

    def figure(self, name: str) -> Any:
        """One figure of the whole story; nothing when it was not measured."""
        return self._record[name]

    def write(self) -> None:
        """Put the record at its path by rename: a reader never meets half of it."""
        self._record["total_s"] = round(time.monotonic() - self._began, 1)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        partial.write_text(json.dumps(self._record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.rename(self._path)
