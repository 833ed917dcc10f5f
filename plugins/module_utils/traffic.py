"""Count what passes through the edge while a release is switched, and what a visitor would notice of it."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from .gateway.steady_probe import SteadyProbe
from .model.errors import OpsError
from .model.smoke import Observed
from .plan.traffic import Counters, read_counters, traffic_between


class TrafficWatch:
    """From start to stop. ``metrics`` gives the edge's counters as text, ``shoot`` asks once through the edge.

    Counting is no reason to fail: without the edge's counters the figures say why they are missing.
    """

    def __init__(self, metrics: Callable[[], str], shoot: Callable[[], Observed], services: Collection[str]) -> None:
        self._metrics = metrics
        self._services = services
        self._probe = SteadyProbe(shoot)
        self._before: Counters | None = None
        self._missing = ""
        self.running = False

    def start(self) -> None:
        """Take the counters as they are, and begin to ask."""
        self._before = self._counters()
        self._probe.start()
        self.running = True

    def stop(self) -> dict[str, Any]:
        """The figures for the receipt; ``requests`` has the probe's own in it."""
        self.running = False
        probed = self._probe.stop()
        figures: dict[str, Any] = {
            "probes": probed.asked,
            "probes_failed": probed.failed,
            "longest_gap_ms": probed.longest_gap_ms,
        }
        after = self._counters()
        if self._before is None or after is None:
            return {**figures, "missing": self._missing}
        passed = traffic_between(self._before, after, self._services)
        return {"requests": passed.requests, "failed": passed.failed, **figures}

    def _counters(self) -> Counters | None:
        try:
            return read_counters(self._metrics())
        except OpsError as error:
            self._missing = str(error)
            return None
