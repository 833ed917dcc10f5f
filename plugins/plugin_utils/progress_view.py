"""How a run looks while it goes on: plain lines in a file or a pipe, a live table on a terminal.

A view only shows. It is told what happened and when, and calls are made by one thread at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .run_report import Outcome

STILL_RUNNING_S = 30.0
_TROUBLE = ("failed", "unreachable", "ignored")


@dataclass
class PlayTally:
    """What a play came to. ``seconds`` since it began."""

    name: str
    began: float = field(default_factory=time.monotonic)
    hosts: set[str] = field(default_factory=set)
    steps: int = 0
    changed: int = 0
    failed: int = 0

    def add(self, outcome: Outcome) -> None:
        self.hosts.add(outcome.host)
        self.steps += outcome.status != "skipped"
        self.changed += outcome.status == "changed"
        self.failed += outcome.status in ("failed", "unreachable")

    def summary(self) -> str:
        """``Provision the hosts: 2 hosts, 24 steps, 9 changed, 43.1 s``"""
        trouble = f", {self.failed} failed" if self.failed else ""
        hosts, steps = _count(len(self.hosts), "host"), _count(self.steps, "step")
        seconds = time.monotonic() - self.began
        return f"{self.name}: {hosts}, {steps}, {self.changed} changed{trouble}, {seconds:.1f} s"


class View(Protocol):
    """What the callback tells a view."""

    def play_started(self, name: str) -> None: ...

    def step_started(self, host: str, step: str) -> None: ...

    def step_ended(self, outcome: Outcome) -> None: ...

    def note(self, text: str) -> None: ...

    def pause(self) -> None: ...

    def tick(self) -> None: ...

    def close(self) -> None: ...


class PlainView:
    """A line for each step that ends: time since the start, host, result, step."""

    def __init__(self, write: Callable[[str], None], *, verbose: bool = False) -> None:
        self._write = write
        self._verbose = verbose
        self._began = time.monotonic()
        self._tally: PlayTally | None = None
        self._running: dict[str, tuple[str, float]] = {}

    def play_started(self, name: str) -> None:
        self._end_play()
        self._tally = PlayTally(name)
        self._write(f"{self._elapsed()} {name}")

    def step_started(self, host: str, step: str) -> None:
        self._running[host] = (step, time.monotonic())

    def step_ended(self, outcome: Outcome) -> None:
        self._running.pop(outcome.host, None)
        if self._tally:
            self._tally.add(outcome)
        if outcome.status == "skipped" and not self._verbose:
            return
        took = f" ({outcome.seconds:.1f} s)" if outcome.seconds >= 1 else ""
        self._write(f"{self._elapsed()} {outcome.host} {outcome.status} {outcome.step}{took}")
        for line in told_lines(outcome):
            self._write(line)

    def note(self, text: str) -> None:
        self._write(text)

    def pause(self) -> None:
        """Nothing to clear away before a prompt."""

    def tick(self) -> None:
        """Say that a long step is still at it, so that a log never looks dead."""
        now = time.monotonic()
        for host, (step, told) in self._running.items():
            if now - told >= STILL_RUNNING_S:
                self._running[host] = (step, now)
                self._write(f"{self._elapsed()} {host} … {step}")

    def close(self) -> None:
        self._end_play()

    def _end_play(self) -> None:
        if self._tally and self._tally.hosts:
            self._write(f"{self._elapsed()} {self._tally.summary()}")
        self._tally = None

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._began:6.1f}s"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def told_lines(outcome: Outcome) -> list[str]:
    """What a person has to read below a step: its trouble in full, and the lines it wrote for them."""
    trouble = outcome.message.splitlines() if outcome.status in _TROUBLE else []
    return [f"        {line}" for line in trouble] + list(outcome.display)
