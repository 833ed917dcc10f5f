"""Watch a release after it went live, and take it back when it does harm: on the host, with nobody looking on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .gateway.host_spool import with_head
from .gateway.host_state import Busy, now, utc
from .hands import Host
from .hurry import locked_soon
from .model.begun import Watched
from .model.errors import OpsError
from .model.receipt import Receipt
from .model.stack import Stack, parse_tree
from .plan.edge import router_name
from .plan.watch import WINDOW_S, Reading, counted, judge
from .release import startable
from .tend import tend_to_go_back
from .transaction import Transaction

EVERY_S = 2.0
BUSY_EVERY_S = 1.0


@dataclass
class Watch:
    """One release under watch. ``say`` is told what a person should know, ``sleep`` is a parameter for tests."""

    host: Host
    watched: Watched
    say: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep
    readings: list[Reading] = field(default_factory=list)

    def run(self) -> Receipt | None:
        """Watch until the time is over, another release took its place, or it was taken back: then the receipt.

        Raises OpsError when it should be taken back and cannot be: it serves on, and a person is needed.
        """
        stack = self._stack()
        while self._is_ours() and utc(now()) < utc(self.watched.until):
            self._look(stack)
            if reason := judge(stack.ops.watch, self.readings):
                return self._take_back(stack, reason)
            self.sleep(EVERY_S)  # what is waited for is time itself: the edge's counters tell by their growth
        if self._is_ours():
            self.host.state.unwatch(stack.name)
            self.say(f"{stack.name}: release {self.watched.number} did well while it was watched")
        return None

    def _stack(self) -> Stack:
        record = self.host.state.record(self.watched.stack, self.watched.number)
        return parse_tree(record.tree, f"release {record.number}")

    def _is_ours(self) -> bool:
        return self.host.state.watched(self.watched.stack) == self.watched

    def _look(self, stack: Stack) -> None:
        """What cannot be read now is no judgement: the edge may be restarting, the engine as well."""
        try:
            metrics = self.host.edge_api().metrics()
            services = [router_name(stack.name, route) for route in stack.ops.routes]
            self.readings.append(Reading(time.monotonic(), counted(metrics, services), self._ill()))
        except OpsError as error:
            self.say(f"{stack.name}: the watch cannot see: {error}")
        kept = max(WINDOW_S, stack.ops.watch.unhealthy_for) + 10 * EVERY_S
        self.readings = [one for one in self.readings if one.at >= time.monotonic() - kept]

    def _ill(self) -> Mapping[str, str]:
        found = self.host.engine.containers(stack=self.watched.stack).values()
        ours = [one for one in found if one.number == self.watched.number]
        if not ours:
            return {f"of release {self.watched.number}": "gone"}
        ill = {one.name: one.health if one.running else "down" for one in ours}
        return {name: state for name, state in ill.items() if state in ("unhealthy", "down")}

    def _take_back(self, stack: Stack, reason: str) -> Receipt | None:
        said = f"{stack.name}: release {self.watched.number} is taken back: {reason}"
        self.say(with_head(said, self.host.state.root))
        while self._is_ours():
            try:
                with locked_soon(self.host, stack.name, f"rollback by the watch: {reason}"):
                    return self._roll_back(reason)
            except Busy:
                self.sleep(BUSY_EVERY_S)  # somebody else is changing the stack, maybe just this
        return None

    def _roll_back(self, reason: str) -> Receipt | None:
        name = self.watched.stack
        for line in tend_to_go_back(self.host, name):
            self.say(line)
        if self.host.state.state(name).live != self.watched.number:
            return None
        live = self.host.state.record(name, self.watched.number)
        target = startable(self.host, self.host.state.record(name, self.watched.previous), live)
        why = f"the watch took release {self.watched.number} back: {reason}"
        condemned = (self.watched.number,)
        return Transaction(self.host, target, action="roll_back", by="watch", why=why, condemns=condemned).run()
