"""The release that another one takes the place of: told, drained, kept for a return, removed; or stopped before."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from .connection_budget import see_room
from .departure import Departure
from .edge_config import edge_config
from .gateway.host_state import seconds_since
from .hands import READY_LIMIT_S, Host
from .model.database import STOP_FIRST
from .model.errors import OpsError
from .model.receipt import Receipt
from .model.release import Release, StackState
from .model.stack import parse_tree
from .model.switching import STOPPED
from .pruning import prune_images
from .traffic import TrafficWatch

STOP_OLD = "stop the old release first"
WatchMaker = Callable[[], TrafficWatch | None]
NamedStep = Callable[[str], AbstractContextManager[None]]


class OldRelease:
    """What happens to it in a transaction that brings ``release`` live; ``before`` is the state that it began in."""

    def __init__(
        self,
        host: Host,
        release: Release,
        before: StackState,
        receipt: Receipt,
        watch: WatchMaker,
        step: NamedStep,
    ) -> None:
        self.host = host
        self.release = release
        self.stack = parse_tree(release.tree, f"release {release.number}")
        self.before = before
        self.receipt = receipt
        self._watch = watch
        self._step = step
        self._traffic: TrafficWatch | None = None
        self._open_before = 0  # connections in it when it got notice
        self.was_stopped = False  # for want of room, or maybe, by a process that died
        self._stopped_at = 0.0  # when it was stopped for want of room, by the monotonic clock

    @property
    def number(self) -> int:
        """The number of the release that stops being live, 0 when there is none."""
        return self.before.live if self.before.live != self.release.number else 0

    @property
    def is_there(self) -> bool:
        """Whether a release is left at all."""
        return bool(self.number)

    @property
    def stands_by(self) -> int:
        """The number of the release to return to: what is left, unless it is the same release that goes live again."""
        again = self.number and self.release.of == self._record(self.number).origin
        return self.before.standby if again else self.number

    @property
    def stays(self) -> bool:
        """Whether what is left is what can be returned to."""
        return self.number == self.stands_by

    @property
    def gets_notice(self) -> bool:
        """Whether it asks to be told that it is left."""
        return self.is_there and self._departure().stack.ops.drain_notice is not None

    def config(self) -> dict[str, Any]:
        """What the edge is to run once the new release serves: with the old one behind it, where that goes on."""
        behind = self._record(self.number) if self.is_there and self.stays else None
        goes_on = behind is not None and self.host.runtime.is_up(behind)
        return edge_config(self.host, self.release, behind if goes_on else None)

    # -- before the candidate starts -----------------------------------------------------------------------------------

    def make_room(self) -> None:
        """See that the database has room for both, and stop the old one first where it has not and the stack says so.

        Raises OpsError where neither is possible.
        """
        old = self._record(self.number) if self.is_there else None
        if see_room(self.host, self.release, self.stack, old, self.receipt.action, self.receipt.warnings.append):
            self.watch_traffic()
            self._stopped_at = time.monotonic()
            self.was_stopped = True
            with self._step(STOP_OLD):
                self.host.runtime.stand_by(self._record(self.number), STOPPED)

    def tell_downtime(self) -> None:
        """What stopping it first cost, once the new one serves, or this one does again."""
        if self._stopped_at and not self.receipt.downtime_s:
            self.receipt.downtime_s = seconds_since(self._stopped_at)
            why = "the database had no room for two releases, so the old one was stopped first"
            self.receipt.warnings.append(f"{why}: nobody was served for {self.receipt.downtime_s:.1f} s")

    def start_again(self) -> None:
        """For an undoing: where it was stopped first, or does not run. One that runs is left as it is, healthy or not.

        That it is not healthy again is told and no reason not to lead visitors to it: it is what they had before.
        """
        database = self.stack.ops.database
        if not (self.is_there and database and database.when_short == STOP_FIRST):
            return
        old = self._record(self.number)
        if not self.was_stopped and self.host.runtime.is_up(old):
            return
        self.host.runtime.start(old)
        try:
            self.host.runtime.wait_ready(old, READY_LIMIT_S)
        except OpsError as error:
            self.receipt.warnings.append(f"release {old.number} was started again and is not healthy yet: {error.what}")
        self.tell_downtime()

    # -- traffic while it is switched ----------------------------------------------------------------------------------

    def watch_traffic(self) -> None:
        """Count from now on, unless that is done already."""
        if self._traffic is None and (watch := self._watch()):
            self._traffic = watch
            watch.start()

    def count_traffic(self) -> None:
        """Put the figures into the receipt, and count no more."""
        if self._traffic and self._traffic.running:
            self.receipt.traffic = self._traffic.stop()

    # -- afterwards ----------------------------------------------------------------------------------------------------

    def give_notice(self) -> None:
        """Tell it that it is left."""
        self._open_before = self._departure().give_notice()

    def drain(self) -> None:
        """Wait for what it has in flight."""
        self.receipt.drained = self._departure().drain(self.stack.ops.drain_limit, self._open_before)
        self.count_traffic()

    def put_on_standby(self) -> None:
        """Keep it, as its stack says."""
        if said := self._departure().put_on_standby():
            self.receipt.warnings.append(said)

    def remove_the_older(self) -> None:
        """Remove everything of the stack but the release that is live now and the one to return to."""
        kept = {self.release.number, self.stands_by}
        for number in sorted(self.host.runtime.present(self.release.stack) - kept):
            cut = Departure(self.host, self._record(number), stays=False).remove()
            if cut and number != self.number:  # of the one that was just left they are counted already
                self.receipt.drained["cut"] = self.receipt.drained.get("cut", 0) + cut

    def prune(self) -> None:
        """Let go of the images of releases that nobody returns to."""
        prune_images(self.host, self.release.stack, self.stack.ops.keep)

    def _departure(self) -> Departure:
        return Departure(self.host, self._record(self.number), stays=self.stays)

    def _record(self, number: int) -> Release:
        return self.host.state.record(self.release.stack, number)
