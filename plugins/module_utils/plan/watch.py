"""Judge a release under watch by what the edge counted and how its containers are: pure.

Counters only grow, for as long as their edge runs: a window is the difference of two readings. One minute is long
enough for a share to mean something, and short enough that what was good before does not hide what is bad now.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..model.watch import WatchPolicy
from .traffic import REQUESTS, samples

WINDOW_S = 60.0
_SERVER_FAULT = 500
_LEAST_FAULTS = 5  # fewer are chance, whatever their share
_QUANTILE = 0.95
_BUCKET = "traefik_service_request_duration_seconds_bucket"


@dataclass(frozen=True)
class Counted:
    """What the edge counted of some services: answers by status, and by the seconds they took at most."""

    codes: Mapping[float, float] = field(default_factory=dict)
    buckets: Mapping[float, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reading:
    """One look: ``at`` by a monotonic clock, what was counted, and the containers that are ill, with their state."""

    at: float
    counted: Counted
    ill: Mapping[str, str] = field(default_factory=dict)


def counted(text: str, services: Sequence[str]) -> Counted:
    """Read the edge's metrics in Prometheus' text format; ``services`` as the edge names them, without ``@file``."""
    codes: dict[float, float] = {}
    buckets: dict[float, float] = {}
    for name, labels, value in samples(text, REQUESTS, _BUCKET):
        if labels["service"] not in services:
            continue
        if name == REQUESTS:
            code = int(labels.get("code", "0"))
            codes[code] = codes.get(code, 0.0) + value
        else:
            most = float(labels["le"])
            buckets[most] = buckets.get(most, 0.0) + value
    return Counted(codes, buckets)


def judge(policy: WatchPolicy, readings: Sequence[Reading]) -> str:
    """Why the release has to be taken back, with the figures; empty when it does well, or nobody can say.

    ``readings`` are all since the switch, oldest first.
    """
    if not readings:
        return ""
    return _illness(policy, readings) or _answers(policy, _window(readings))


def _window(readings: Sequence[Reading]) -> Counted:
    last = readings[-1]
    first = next(reading for reading in readings if reading.at >= last.at - WINDOW_S)
    return Counted(_grown(first.counted.codes, last.counted.codes), _grown(first.counted.buckets, last.counted.buckets))


def _grown(before: Mapping[float, float], after: Mapping[float, float]) -> dict[float, float]:
    """By how much counters grew. A counter that fell was started anew with its edge: all of it is new."""
    fell = any(after.get(key, 0.0) < count for key, count in before.items())
    return {key: count - (0.0 if fell else before.get(key, 0.0)) for key, count in after.items()}


def _answers(policy: WatchPolicy, window: Counted) -> str:
    total = sum(window.codes.values())
    if total < policy.least_requests:
        return ""
    faults = sum(count for code, count in window.codes.items() if code >= _SERVER_FAULT)
    if faults >= _LEAST_FAULTS and faults / total > policy.error_rate:
        share, limit = f"{faults / total:.1%}", f"{policy.error_rate:.1%}"
        return f"{faults:.0f} of {total:.0f} answers within a minute were server errors ({share}, allowed {limit})"
    slow = quantile(window.buckets, _QUANTILE)
    if policy.latency and slow > policy.latency:
        least = "more than " if math.isinf(slow) else ""
        told = max(most for most in window.buckets if not math.isinf(most)) if math.isinf(slow) else slow
        return (
            f"95 of 100 answers within a minute took up to {least}{told:.2f} s (of {total:.0f} answers; allowed "
            f"{policy.latency:g} s)"
        )
    return ""


def quantile(buckets: Mapping[float, float], share: float) -> float:
    """The duration that this share of answers did not exceed, interpolated within its bucket as Prometheus does.

    ``inf`` when it lies beyond the last bound; 0 without answers.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return 0.0
    rank, lower, below = share * total, 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            if math.isinf(bound):
                return bound
            inside = buckets[bound] - below
            return lower + (bound - lower) * ((rank - below) / inside if inside else 1.0)
        lower, below = bound, buckets[bound]
    return math.inf


def _illness(policy: WatchPolicy, readings: Sequence[Reading]) -> str:
    """A container that is ill now and was at every look for long enough."""
    last = readings[-1]
    for name, state in last.ill.items():
        since = last.at
        for reading in reversed(readings):
            if name not in reading.ill:
                break
            since = reading.at
        if last.at - since >= policy.unhealthy_for:
            return f"container {name} has been {state} for {last.at - since:.0f} s (allowed {policy.unhealthy_for:g} s)"
    return ""
