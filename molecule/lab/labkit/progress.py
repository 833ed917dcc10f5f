"""Telling the person who waits what happens, and how long each phase took."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Progress:
    """Plain lines on standard error with the seconds since the start; standard output stays free for JSON."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self.phases: dict[str, float] = {}

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def say(self, text: str) -> None:
        """Print one line."""
        with self._lock:
            print(f"{self.elapsed:6.1f}s  {text}", file=sys.stderr, flush=True)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure a phase; say its seconds when it took long enough for anyone to wonder."""
        started = time.monotonic()
        yield
        self.phases[name] = round(time.monotonic() - started, 2)
        self.say(f"{name}: done in {self.phases[name]:.1f} s")
