"""What passed through the edge between two looks at its counters: pure.

Traefik counts per service in ``traefik_service_requests_total{code,method,protocol,service}`` (Prometheus text format;
https://doc.traefik.io/traefik/reference/install-configuration/observability/metrics/). A web socket is counted when it
ends, with code 101; a client that hangs up counts as 499, and is no failure of ours.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

REQUESTS = "traefik_service_requests_total"
_SAMPLE = re.compile(r"^(traefik_service_[a-z_]+)\{(.*)\} (\S+)$")
_LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')
_FILE = "@file"
_SERVER_ERROR = 500

Counters = Mapping[tuple[str, int], int]
"""Requests answered since the edge started, by service (without its provider) and status code."""


@dataclass(frozen=True)
class Traffic:
    """Requests that the edge answered for some services, and how many of them with a server error (5xx)."""

    requests: int
    failed: int


def samples(text: str, *names: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """The samples of some counters of services in a text of metrics: the counter's name, its labels, and the value.

    A service is named without its provider; what no file declares is left out.
    """
    for line in text.splitlines():
        sample = _SAMPLE.match(line)
        if sample is None or sample[1] not in names:
            continue
        labels = dict(_LABEL.findall(sample[2]))
        service = labels.get("service", "")
        if service.endswith(_FILE):
            yield sample[1], {**labels, "service": service.removesuffix(_FILE)}, float(sample[3])


def read_counters(text: str) -> dict[tuple[str, int], int]:
    """The request counters in a text of metrics."""
    found: dict[tuple[str, int], int] = {}
    for _, labels, value in samples(text, REQUESTS):
        key = (labels["service"], int(labels.get("code", "0")))
        found[key] = found.get(key, 0) + round(value)
    return found


def traffic_between(before: Counters, after: Counters, services: Collection[str]) -> Traffic:
    """What these services answered between two looks. A counter that fell was begun anew: the edge was restarted."""
    grown = {key: _growth(before.get(key, 0), now) for key, now in after.items() if key[0] in services}
    failed = sum(count for (_, code), count in grown.items() if code >= _SERVER_ERROR)
    return Traffic(sum(grown.values()), failed)


def _growth(before: int, now: int) -> int:
    return now - before if now >= before else now
