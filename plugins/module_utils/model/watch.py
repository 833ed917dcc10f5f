"""How a release is watched after it went live, and what takes it back: ``x-ops.watch`` of a stack file."""

from __future__ import annotations

from dataclasses import dataclass

from .document import Node
from .vocabulary import Key, Keys
from .words import at_least


@dataclass(frozen=True)
class WatchPolicy:
    """Thresholds of a watch.

    ``limit`` and ``unhealthy_for`` in seconds; ``error_rate`` is the share (0 to 1) of answers that may be the server's
    fault; ``latency`` in seconds is what 95 of 100 answers may take, 0 when it is not judged. Below ``least_requests``
    neither is judged.
    """

    limit: float = 900
    error_rate: float = 0.05
    latency: float = 0
    least_requests: int = 50
    unhealthy_for: float = 30


def _share(node: Node) -> float:
    text = node.text(pattern=r"\d{1,3}(\.\d+)?%", hint="a share", do="write it like 5%")
    share = float(text.removesuffix("%")) / 100 if text else WatchPolicy.error_rate
    if not 0 < share <= 1:
        node.reject(f"'{text}' is outside 0%..100%", "name a share above 0%, such as 5%")
        return WatchPolicy.error_rate
    return share


WATCH_KEYS = Keys(
    Key("for", "duration", "How long a release is watched after it went live; 0s watches none",
        lambda node: node.seconds(WatchPolicy.limit), default="15m", field="limit"),
    Key("error_rate", "share", "The share of answers with a status of 500 and more that takes the release back", _share,
        default="5%", example="error_rate: 2%", note="Fewer than five of them within a minute take nothing back."),
    Key("latency", "duration", "What 95 of 100 answers may take before the release is taken back",
        lambda node: node.seconds(WatchPolicy.latency), default="not judged",
        note="Leave it away where long polls or uploads are answered: they are slow by nature."),
    Key("least_requests", "number", "Answers within a minute below which neither of them is judged",
        lambda node: node.integer(WatchPolicy.least_requests, least=1), default="50"),
    Key("unhealthy_for", "duration", "How long a container may be unhealthy or down before the release is taken back",
        at_least(5, lambda node: node.seconds(WatchPolicy.unhealthy_for), "5s"), default="30s"),
)  # fmt: skip


def parse_watch(node: Node) -> WatchPolicy:
    """``x-ops.watch``."""
    return WatchPolicy(**WATCH_KEYS.read(node))
