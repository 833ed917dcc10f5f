"""What a load came to: pure arithmetic over its samples."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_EXAMPLES = 5
# A release that was not seen for so long, and is then, is seen anew. Slow answers overlap a switch by a second or so.
_UNSEEN_S = 2.0
SLOW_KINDS = frozenset({"slow", "slow upload", "web socket"})
"""What takes long by its own wish: its time says nothing of the edge."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request that is over. Times in seconds of the load.

    ``at`` is when it was due, ``late`` how much later it left, ``took`` the time from due to answered, ``release`` who
    answered, ``problem`` what was wrong (empty: nothing). Nothing is ever sent twice.
    """

    kind: str
    at: float
    late: float
    took: float
    release: str = ""
    problem: str = ""

    @property
    def ended(self) -> float:
        """When its answer was read."""
        return self.at + self.took


@dataclass(frozen=True)
class Seen:
    """A release that answered from ``first_s`` to ``last_s`` (seconds of the load, when requests were due)."""

    release: str
    first_s: float
    last_s: float
    requests: int


@dataclass(frozen=True)
class Figures:
    """The figures of one load. Latencies in milliseconds, of all but the requests that are slow by their own wish.

    ``longest_gap_s`` is the longest time without a good answer; ``client_late_ms`` how late the generator itself was at
    worst, which no server can be blamed for.
    """

    requests: int
    failed: int
    problems: dict[str, int]
    examples: tuple[str, ...]
    longest_gap_s: float
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None
    client_late_ms: float
    kinds: dict[str, int]
    releases: dict[str, int]
    timeline: tuple[Seen, ...]

    @property
    def sentence(self) -> str:
        """The figures that matter most, for people."""
        return (
            f"{self.requests} requests, {self.failed} failed, at most {self.longest_gap_s:.2f} s without an answer, "
            f"half of them answered within {_ms(self.p50_ms)}, 99 % within {_ms(self.p99_ms)}"
        )

    def lines(self) -> list[str]:
        """All of it, for people."""
        seen = [f"{one.first_s:7.1f} - {one.last_s:6.1f} s  {one.release}  ({one.requests})" for one in self.timeline]
        return [self.sentence, *seen, *(f"failed {count} times: {problem}" for problem, count in self.problems.items())]


def measure(samples: Sequence[Sample], rate: float) -> Figures:
    """The figures of ``samples``, which were due ``rate`` times a second."""
    bad = sorted((sample for sample in samples if sample.problem), key=lambda sample: sample.at)
    quick = sorted(sample.took * 1000 for sample in samples if not sample.problem and sample.kind not in SLOW_KINDS)
    answered = [sample for sample in samples if sample.release]
    return Figures(
        requests=len(samples),
        failed=len(bad),
        problems=dict(Counter(sample.problem for sample in bad).most_common()),
        examples=tuple(f"{sample.at:.2f} s, {sample.kind}: {sample.problem}" for sample in bad[:_EXAMPLES]),
        longest_gap_s=longest_gap(samples),
        p50_ms=percentile(quick, 0.50),
        p99_ms=percentile(quick, 0.99),
        max_ms=percentile(quick, 1.0),
        client_late_ms=round(max((sample.late for sample in samples), default=0.0) * 1000, 1),
        kinds=dict(Counter(sample.kind for sample in samples).most_common()),
        releases=dict(Counter(sample.release for sample in answered).most_common()),
        timeline=tuple(timeline(answered, max(_UNSEEN_S, 5 / rate))),
    )


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest of the ``ordered`` values that ``share`` of them do not exceed; nothing when there are none."""
    if not ordered:
        return None
    return round(ordered[max(0, math.ceil(share * len(ordered)) - 1)], 1)


def longest_gap(samples: Iterable[Sample]) -> float:
    """Seconds of the longest stretch without a good answer, from the first request due to the last answer."""
    everything = list(samples)
    if not everything:
        return 0.0
    begin, end = min(sample.at for sample in everything), max(sample.ended for sample in everything)
    good = sorted(sample.ended for sample in everything if not sample.problem)
    moments = [begin, *good, end]
    return round(max(later - earlier for earlier, later in pairwise(moments)), 3)


def timeline(samples: Iterable[Sample], unseen_s: float) -> list[Seen]:
    """Which release answered from when to when; one that comes back after ``unseen_s`` is listed again."""
    seen: list[Seen] = []
    latest: dict[str, int] = {}
    for sample in sorted(samples, key=lambda one: one.at):
        place = latest.get(sample.release)
        if place is None or sample.at - seen[place].last_s > unseen_s:
            latest[sample.release] = len(seen)
            seen.append(Seen(sample.release, sample.at, sample.at, 1))
        else:
            before = seen[place]
            seen[place] = Seen(sample.release, before.first_s, sample.at, before.requests + 1)
    return [Seen(one.release, round(one.first_s, 2), round(one.last_s, 2), one.requests) for one in seen]


def _ms(value: float | None) -> str:
    return "no time" if value is None else f"{value:.0f} ms"
