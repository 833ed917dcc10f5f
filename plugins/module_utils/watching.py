"""Begin the watch of a release that has just gone live, and end that of the one before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from .gateway.host_state import now, utc
from .hands import Host
from .model.begun import Begun, Watched
from .model.stack import Stack


@dataclass(frozen=True)
class Watching:
    """What is to be watched after a transaction; ``previous`` is the number of the release that it left, 0 for none."""

    host: Host
    stack: Stack
    begun: Begun
    previous: int

    @property
    def is_wanted(self) -> bool:
        """What a person went back to is not taken back by a machine, nor is a first release: whereto?"""
        return self.begun.action == "deploy" and self.previous > 0 and self.stack.ops.watch.limit > 0

    @property
    def is_needed(self) -> bool:
        """Whether there is a watch to begin or to end."""
        return self.is_wanted or self.host.state.watched(self.stack.name) is not None

    def begin(self) -> None:
        """From now on this release is watched, and not the one before."""
        self.host.state.unwatch(self.stack.name)
        if not self.is_wanted:
            return
        until = utc(now()) + timedelta(seconds=self.stack.ops.watch.limit)
        watched = Watched(
            transaction=self.begun.id,
            stack=self.stack.name,
            number=self.begun.number,
            previous=self.previous,
            until=until.isoformat(timespec="milliseconds"),
            environment=self.host.environment,
            library=self.host.library,
        )
        self.host.state.watch(watched)
        self.host.start_watch(watched)
