"""Releases that are broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

REASON = "broken on purpose"


@dataclass(frozen=True)
class Breakage:
    """Whether this process is to misbehave now."""

    kind: str
    after_s: float
    started: float
    clock: Callable[[], float] = monotonic

    def of_health(self) -> bool:
        """Is health to fail?"""
        return self.kind == "health" or self._is_late()

    def of_pages(self) -> bool:
        """Is the main page to fail?"""
        return self.kind == "smoke" or self._is_late()

    def of_logins(self) -> bool:
        """Is nobody to get in?"""
        return self.kind == "login"

    def of_web_sockets(self) -> bool:
        """Are web sockets to open, and then to make no sense?"""
        return self.kind == "web_socket"

    def _is_late(self) -> bool:
        return self.kind == "late" and self.clock() - self.started >= self.after_s
