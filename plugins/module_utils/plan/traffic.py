"""What passed through the edge between two looks at its counters: pure.

Traefik counts per service in ``traefik_service_requests_total{code,method,protocol,service}`` (Prometheus text format;
https://doc.traefik.io/traefik/reference/install-configuration/observability/metrics/). A web socket is counted when it
ends, with code 101; a client that hangs up counts as 499, and is no failure of ours.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

_METRIC = "traefik_service_requests_total"
_LINE = re.compile(rf"^{_METRIC}\{{(?P<labels>[^}}]*)\}} (?P<value>[0-9.e+]+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_FILE = "@file"
_SERVER_ERROR = 500

Counters = Mapping[tuple[str, int], int]
"""Requests answered since the edge started, by service (without its provider) and status code."""


@dataclass(frozen=True)
class Traffic:
    """Requests that the edge answered for some services, and how many of them with a server error (5xx)."""

    requests: int
    failed: int


def read_counters(text: str) -> dict[tuple[str, int], int]:
    """The request counters in a text of metrics."""
    found: dict[tuple[str, int], int] = {}
    for match in _LINE.finditer(text):
        labels = dict(_LABEL.findall(match["labels"]))
        code = labels.get("code", "")
        if code.isdigit():
            key = (labels.get("service", "").removesuffix(_FILE), int(code))
            found[key] = found.get(key, 0) + round(float(match["value"]))
    return found


def traffic_between(before: Counters, after: Counters, services: Collection[str]) -> Traffic:
    """What these services answered between two looks. A counter that fell was begun anew: the edge was restarted."""
    grown = {key: _growth(before.get(key, 0), now) for key, now in after.items() if key[0] in services}
    failed = sum(count for (_, code), count in grown.items() if code >= _SERVER_ERROR)
    return Traffic(sum(grown.values()), failed)


def _growth(before: int, now: int) -> int:
    return now - before if now >= before else now
