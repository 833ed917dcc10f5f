"""The live table on a terminal: a row for each host of the running play, finished plays as one line above it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .progress_view import PlayTally, told_lines
from .run_report import Outcome

_STYLES = {
    "ok": "green",
    "changed": "yellow",
    "skipped": "dim",
    "failed": "bold red",
    "ignored": "magenta",
    "unreachable": "bold red",
    "running": "cyan",
}


@dataclass
class _Row:
    """A host's line: the step it is at, or the last one it ended."""

    step: str
    began: float
    status: str = "running"
    seconds: float = 0.0
    ended: int = 0

    def elapsed(self) -> float:
        return time.monotonic() - self.began if self.status == "running" else self.seconds


class LiveView:
    """Draws only when told to: the caller decides which thread may, because Ansible forks while a run goes on."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._rows: dict[str, _Row] = {}
        self._tally: PlayTally | None = None
        self._live: Live | None = None

    def play_started(self, name: str) -> None:
        self._end_play()
        self._tally = PlayTally(name)
        self._draw()

    def step_started(self, host: str, step: str) -> None:
        ended = self._rows[host].ended if host in self._rows else 0
        self._rows[host] = _Row(step, time.monotonic(), ended=ended)
        self._draw()

    def step_ended(self, outcome: Outcome) -> None:
        if self._tally:
            self._tally.add(outcome)
        row = self._rows.setdefault(outcome.host, _Row(outcome.step, time.monotonic()))
        row.status, row.seconds, row.ended = outcome.status, outcome.seconds, row.ended + 1
        lines = told_lines(outcome)
        if lines:
            heading = f"{outcome.host} {outcome.status} {outcome.step}"
            self._console.print(Text(heading, style=_STYLES[outcome.status]))
            self._print("\n".join(lines))
        self._draw()

    def note(self, text: str) -> None:
        self._print(text)

    def pause(self) -> None:
        """Take the table away, so that a prompt has the terminal for itself; the next step brings it back."""
        if self._live:
            self._live.update(Text(""))
            self._live.stop()
            self._live = None

    def tick(self) -> None:
        if self._live:
            self._live.update(self._table(), refresh=True)

    def close(self) -> None:
        self._end_play()

    def _print(self, text: str) -> None:
        # Diffs come with colours of their own.
        self._console.print(Text.from_ansi(text), soft_wrap=True)

    def _draw(self) -> None:
        if self._live is None:
            # No refreshing thread of its own: see the class. Warnings that go to stderr pass through, above the table.
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        self._live.update(self._table(), refresh=True)

    def _end_play(self) -> None:
        self.pause()
        if self._tally and self._tally.hosts:
            bad = self._tally.failed > 0
            mark = Text("✘ " if bad else "✔ ", style=_STYLES["failed" if bad else "ok"])
            self._console.print(mark + Text(self._tally.summary()))
        self._rows.clear()
        self._tally = None

    def _table(self) -> Table:
        table = Table(
            title=self._tally.name if self._tally else None, title_justify="left", box=None, pad_edge=False, expand=True
        )
        table.add_column("host", no_wrap=True)
        table.add_column("step", ratio=1, no_wrap=True, overflow="ellipsis")
        table.add_column("elapsed", justify="right", no_wrap=True)
        table.add_column("result", no_wrap=True)
        table.add_column("done", justify="right", no_wrap=True)
        for host, row in self._rows.items():
            table.add_row(
                host, row.step, f"{row.elapsed():.1f} s", Text(row.status, style=_STYLES[row.status]), str(row.ended)
            )
        return table
