"""How a release leaves service: it is told, it drains, it waits on standby as its stack says, and goes in the end."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .gateway.sockets import DrainResult
from .hands import Host
from .model.errors import OpsError
from .model.release import Release
from .model.stack import Stack, parse_tree
from .model.switching import PAUSED, RUNNING, STOPPED


@dataclass(frozen=True)
class Departure:
    """A release that left service on a host. ``stays`` says whether it is the one to return to."""

    host: Host
    release: Release
    stays: bool

    @property
    def stack(self) -> Stack:
        """The stack as it was at this release: what it understands, and how it waits, is its own."""
        return parse_tree(self.release.tree, f"release {self.release.number}")

    def give_notice(self) -> int:
        """Tell it that it is left, so that it closes its web sockets and its clients come back to the new release.

        Returns how many connections were open then.
        """
        found = self._open().left
        if notice := self.stack.ops.drain_notice:
            self.host.runtime.give_notice(self.release, notice)
        return found

    def drain(self, limit_s: float, before: int = 0) -> dict[str, Any]:
        """Wait for what it has in flight; what to tell of that. ``before`` were open when it got notice.

        What is open at the limit goes on where the release goes on running (``left``); where not, it is ``cut``.
        """
        drained = self.host.runtime.drain(self.release, limit_s)
        goes_on = self.stays and self.stack.ops.standby == RUNNING
        return {
            "seconds": round(drained.seconds, 3),
            "in_flight": max(drained.first, before),
            "notice": self.stack.ops.drain_notice is not None,
            "left": drained.left if goes_on else 0,
            "cut": 0 if goes_on else drained.left,
        }

    def put_on_standby(self) -> str:
        """Keep it as its stack says; a sentence where that could not be, else empty."""
        wanted = self.stack.ops.standby
        if wanted == PAUSED and (still := self._open().left):
            # Frozen, it would neither answer nor hang up, and its clients would wait for hours.
            self.host.runtime.stand_by(self.release, STOPPED)
            return f"release {self.release.number} was stopped, not paused: {still} connections were still open in it"
        self.host.runtime.stand_by(self.release, wanted)
        return ""

    def remove(self) -> int:
        """Remove it; how many connections that cut."""
        cut = 0
        with suppress(OpsError):  # counting is no reason to keep it
            cut = self._open().left
        self.host.runtime.discard(self.release)
        return cut

    def _open(self) -> DrainResult:
        return self.host.runtime.drain(self.release, 0.0)
