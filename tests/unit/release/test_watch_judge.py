"""When a release under watch is taken back: by what the edge counted, and by how its containers are."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.model.watch import WatchPolicy
from plugins.module_utils.plan.watch import WINDOW_S, Counted, Reading, counted, judge, quantile

RECORDED = Path(__file__).with_name("recorded") / "edge_metrics.txt"
POLICY = WatchPolicy(error_rate=0.05, latency=2, least_requests=20, unhealthy_for=30)
BOUNDS = (0.1, 0.3, 1.2, 5.0, math.inf)


def reading(at: float, good: int = 0, bad: int = 0, ill: dict[str, str] | None = None, slow: int = 0) -> Reading:
    """At a second: so many answers of each kind were counted since the edge was started."""
    buckets = {bound: float(good + bad - (slow if bound < 5 else 0)) for bound in BOUNDS}
    return Reading(at, Counted({200: good, 500: bad}, buckets), ill or {})


def test_the_edge_s_own_metrics_are_read() -> None:
    text = RECORDED.read_text(encoding="utf-8")
    found = counted(text, ["www-web"])
    assert found.codes == {200: 39, 500: 3}
    assert found.buckets == {0.1: 40, 0.3: 40, 1.2: 40, 5: 42, math.inf: 42}
    assert counted(text, ["www-web", "langbot-web"]).codes == {200: 43, 500: 3}
    assert counted(text, ["www"]) == counted("", ["www-web"]) == Counted()
    assert counted(text.replace("www-web@file", 'w\\"w@file'), ["www-web"]) == Counted()


@pytest.mark.parametrize(
    ("readings", "says"),
    [
        ([], ""),
        ([reading(0, 1000, 900)], ""),  # what was before the switch is not the release's
        ([reading(0), reading(2, 95, 5)], ""),  # exactly what is allowed
        ([reading(0), reading(2, 94, 6)], "6 of 100 answers within a minute were server errors (6.0%, allowed 5.0%)"),
        ([reading(0), reading(2, 0, 19)], ""),  # too few to say
        ([reading(0), reading(2, 0, 20)], "20 of 20 answers within a minute were server errors (100.0%"),
        ([reading(0), reading(2, 20, 4)], ""),  # a few are chance
        ([reading(0), reading(2, 20, 5)], "5 of 25 answers"),
        ([reading(0, 50, 50), reading(2, 150, 50)], ""),
        ([reading(0), reading(30, 20, 10), reading(100, 80, 10)], ""),  # the errors are older than a minute
        ([reading(0, 500, 100), reading(10, 10, 0)], ""),  # the edge was started anew
        ([reading(0, 500, 100), reading(10, 10, 10)], "10 of 20 answers"),
        ([reading(0), reading(2, 100, slow=5)], ""),
        ([reading(0), reading(2, 100, slow=6)], "95 of 100 answers within a minute took up to 1.83 s"),
    ],
)
def test_answers(readings: list[Reading], says: str) -> None:
    policy = WatchPolicy(latency=1.5) if says.startswith("95") else POLICY
    said = judge(policy, readings)
    assert says in said
    assert bool(says) == bool(said)


def test_slow_answers_are_judged_only_when_the_stack_says_so() -> None:
    readings = [reading(0), reading(2, 100, slow=50)]
    assert "took up to" in judge(WatchPolicy(latency=1), readings)
    assert judge(WatchPolicy(), readings) == ""


def test_answers_slower_than_every_bound_are_told_as_such() -> None:
    buckets = dict.fromkeys(BOUNDS[:-1], 0.0) | {math.inf: 100.0}
    readings = [reading(0), Reading(2, Counted({200: 100}, buckets))]
    assert "took up to more than 5.00 s" in judge(WatchPolicy(latency=1), readings)


@pytest.mark.parametrize(
    ("states", "says"),
    [
        ([(0, {"web": "unhealthy"}), (29, {"web": "unhealthy"})], ""),
        ([(0, {"web": "unhealthy"}), (30, {"web": "unhealthy"})], "container web has been unhealthy for 30 s"),
        ([(0, {"web": "unhealthy"}), (15, {}), (30, {"web": "unhealthy"})], ""),  # it was well in between
        ([(0, {"web": "unhealthy"}), (15, {"web": "down"}), (31, {"web": "down"})], "has been down for 31 s"),
        ([(0, {"web": "down"}), (40, {"db": "down"})], ""),
        ([(0, {"web": "down"}), (40, {})], ""),
    ],
)
def test_illness(states: list[tuple[float, dict[str, str]]], says: str) -> None:
    said = judge(POLICY, [reading(at, ill=ill) for at, ill in states])
    assert says in said
    assert bool(says) == bool(said)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=30),
    st.floats(0.001, 1),
    st.integers(1, 100),
)
def test_it_is_taken_back_exactly_when_the_share_of_the_last_minute_is_broken(
    steps: list[tuple[int, int]], rate: float, least: int
) -> None:
    readings, good, bad = [reading(0)], 0, 0
    for number, (more_good, more_bad) in enumerate(steps, 1):
        good, bad = good + more_good, bad + more_bad
        readings.append(reading(number * 5, good, bad))
    inside = steps[-int(WINDOW_S // 5) :]
    answers, faults = sum(map(sum, inside)), sum(bad for _, bad in inside)
    broken = answers >= least and faults >= 5 and faults / answers > rate if answers else False
    assert bool(judge(WatchPolicy(error_rate=rate, least_requests=least), readings)) == broken


@given(st.lists(st.integers(0, 100), min_size=5, max_size=5), st.floats(0.01, 1))
def test_a_quantile_lies_in_the_bucket_that_holds_it(counts: list[int], share: float) -> None:
    buckets, total = {}, 0
    for bound, count in zip(BOUNDS, counts, strict=True):
        total += count
        buckets[bound] = float(total)
    found = quantile(buckets, share)
    if total == 0:
        assert found == 0
        return
    below = [bound for bound in BOUNDS if buckets[bound] < share * total]
    assert found >= (below[-1] if below else 0)
    assert found <= next(bound for bound in BOUNDS if buckets[bound] >= share * total)
