"""Ask again and again from a thread while something else happens, and tell how long nobody answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..model.smoke import Observed

EVERY_S = 0.05
_SERVER_ERROR = 500


@dataclass(frozen=True)
class ProbeFigures:
    """How it went: requests made, those that failed (no answer, or 5xx), and the longest time between good answers."""

    asked: int = 0
    failed: int = 0
    longest_gap_ms: float = 0.0


class SteadyProbe:
    """Calls ``shoot`` every ``every_s`` seconds between start and stop, one request at a time.

    A gap is what a visitor would notice: from one good answer to the next, so it is never shorter than ``every_s``.
    """

    def __init__(self, shoot: Callable[[], Observed], every_s: float = EVERY_S) -> None:
        self._shoot = shoot
        self._every = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="steady-probe", daemon=True)
        self._asked = self._failed = 0
        self._longest = 0.0
        self._good = 0.0  # when the last good answer came, by the monotonic clock

    def start(self) -> None:
        """Begin; the time until the first good answer is a gap as well."""
        self._good = time.monotonic()
        self._thread.start()

    def stop(self) -> ProbeFigures:
        """End, after the request under way; the figures."""
        self._ended.set()
        self._thread.join()
        return ProbeFigures(self._asked, self._failed, round(self._longest * 1000, 1))

    def _run(self) -> None:
        while True:
            began = time.monotonic()
            observed = self._shoot()
            now = time.monotonic()
            self._asked += 1
            if observed.error or observed.status >= _SERVER_ERROR:
                self._failed += 1
            else:
                self._longest = max(self._longest, now - self._good)
                self._good = now
            if self._ended.wait(max(0.0, self._every - (now - began))):
                # A gap that is still open counts as far as it was seen.
                self._longest = max(self._longest, time.monotonic() - self._good)
                return
