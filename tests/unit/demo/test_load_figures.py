"""The arithmetic of a load: a truth table in small samples."""

from __future__ import annotations

import pytest

from tests.bench.load import kind_of
from tests.bench.load_figures import Sample, longest_gap, measure, percentile, timeline


def sample(at: float, took: float = 0.01, release: str = "a", problem: str = "", kind: str = "page") -> Sample:
    return Sample(kind, at, 0.0, took, release, problem)


@pytest.mark.parametrize(("share", "wanted"), [(0.5, 50.0), (0.99, 99.0), (1.0, 100.0), (0.0, 1.0), (0.991, 100.0)])
def test_a_percentile_is_a_value_that_was_measured(share: float, wanted: float) -> None:
    assert percentile([float(value) for value in range(1, 101)], share) == wanted


def test_nothing_has_no_percentile() -> None:
    assert percentile([], 0.5) is None


def test_a_gap_is_between_good_answers() -> None:
    bad = [sample(0.5 + tenth / 10, problem="HTTP 502") for tenth in range(10)]
    assert longest_gap([sample(0.0), sample(0.4), *bad, sample(2.0)]) == pytest.approx(1.6)


@pytest.mark.parametrize(
    ("samples", "wanted"),
    [
        ([], 0.0),
        ([sample(0.0, took=3.0)], 3.0),
        ([sample(0.0, problem="x"), sample(2.0)], 2.01),
        ([sample(0.0), sample(2.0, problem="x")], 2.0),
    ],
)
def test_silence_at_either_end_is_a_gap(samples: list[Sample], wanted: float) -> None:
    assert longest_gap(samples) == pytest.approx(wanted)


def test_a_release_that_comes_back_is_seen_again() -> None:
    told = timeline([sample(at / 10, release="a" if at < 50 or at > 90 else "b") for at in range(140)], 2.0)
    assert [(seen.release, seen.first_s, seen.last_s) for seen in told] == [
        ("a", 0.0, 4.9),
        ("b", 5.0, 9.0),
        ("a", 9.1, 13.9),
    ]


def test_an_overlap_at_the_switch_is_not_a_return() -> None:
    told = timeline([sample(1.0), sample(1.1, release="b"), sample(1.2), sample(1.3, release="b")], 2.0)
    assert [(seen.release, seen.requests) for seen in told] == [("a", 2), ("b", 2)]


def test_figures_count_what_failed_and_leave_slow_answers_out_of_the_times() -> None:
    figures = measure(
        [
            sample(0.0, took=0.02),
            sample(0.1, took=1.5, kind="slow"),
            sample(0.2, took=0.5, problem="HTTP 500"),
            sample(0.3, took=9.0, problem="timeout", release=""),
        ],
        rate=10,
    )
    assert (figures.requests, figures.failed) == (4, 2)
    assert figures.problems == {"HTTP 500": 1, "timeout": 1}
    assert figures.examples == ("0.20 s, page: HTTP 500", "0.30 s, page: timeout")
    assert figures.max_ms == 20.0
    assert figures.releases == {"a": 3}
    assert figures.kinds == {"page": 3, "slow": 1}
    assert "4 requests, 2 failed" in figures.lines()[0]
    assert figures.lines()[-1] == "failed 1 times: timeout"


def test_nothing_measured_says_so() -> None:
    figures = measure([], rate=10)
    assert figures.requests == 0
    assert figures.p50_ms is None
    assert "no time" in figures.sentence


def test_each_twenty_requests_are_of_every_kind() -> None:
    kinds = [kind_of(number) for number in range(20)]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "page": 7,
        "quick": 6,
        "slow": 1,
        "upload": 1,
        "slow upload": 1,
        "new connection": 4,
    }
    assert kind_of(17, web_sockets=True) == "web socket"
