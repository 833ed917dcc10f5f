"""What a load met while releases were switched, told from samples and a journal."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.bench.load_figures import Sample
from tests.bench.switch_figures import Panel, Switch, aims, failures, own_figures, p99, picture, switches_of, within


def at(second: float, took: float = 0.01, kind: str = "page", problem: str = "", late: float = 0.0) -> Sample:
    return Sample(kind, second, late, took, "sha-a", problem)


def entry(transaction: str, at_s: float, step: str, event: str = "begin") -> dict[str, object]:
    return {"transaction": transaction, "at": at_s, "step": step, "event": event}


JOURNAL = [
    entry("one", 10.0, "fetch and verify the digest"),
    entry("one", 11.0, "switch the edge"),
    entry("one", 11.1, "switch the edge", "done"),
    entry("one", 13.0, "end", "done"),
    entry("refused", 15.0, "fetch and verify the digest"),
    entry("refused", 15.5, "end", "undone"),
    entry("two", 20.0, "switch the edge"),
    entry("two", 21.0, "end", "done"),
    {"at": 22.0, "step": "something of another kind", "event": "begin"},
]


def test_switches_are_told_by_the_journal_and_named_by_the_commands() -> None:
    found = switches_of(JOURNAL, [(8.0, "deploy", "sha-b"), (14.0, "deploy", "sha-c"), (18.0, "roll_back", "sha-a")])
    assert [(one.action, one.release, one.typed, one.began, one.flipped, one.ended) for one in found] == [
        ("deploy", "sha-b", 8.0, 10.0, 11.0, 13.0),
        ("roll_back", "sha-a", 18.0, 20.0, 20.0, 21.0),
    ]


def test_windows_take_what_was_due_in_them() -> None:
    inside, outside = within([at(3.0), at(1.0), at(2.0), at(5.5)], [(1.0, 2.0), (5.0, 6.0)])
    assert [one.at for one in inside] == [1.0, 2.0, 5.5]
    assert [one.at for one in outside] == [3.0]


def test_time_that_a_request_waited_for_its_turn_counts_and_slow_ones_do_not() -> None:
    samples = [at(1, 0.02, late=0.015), at(2, 1.2, "slow"), at(3, 1.2, "web socket"), at(4, 9.0, problem="timeout")]
    assert p99(samples) == pytest.approx(20)
    assert p99(samples, of_server=True) == pytest.approx(5)
    assert p99([]) is None


def test_figures_hold_latencies_during_and_between_switches_apart() -> None:
    switches = [Switch("deploy", "sha-b", 8.0, 10.0, 11.0, 13.0)]
    samples = [at(5, 0.01), at(9, 0.03), at(11, 0.05), at(12.5, 0.04), at(12, problem="HTTP 502")]
    found = own_figures(samples, switches)
    assert (found["requests"], found["failed"], found["switches"]) == (5, 1, 1)
    assert (found["p99_steady_ms"], found["p99_switch_ms"], found["p99_flip_ms"]) == (30.0, 50.0, 50.0)
    assert found["failures"] == [{"at_s": 12, "kind": "page", "problem": "HTTP 502", "release": "sha-a"}]


def test_figures_say_what_visitors_met_during_each_step() -> None:
    samples = [at(10.5, 0.02), at(11.05, 0.09), at(12.0, 0.01), at(20.5, 0.03)]
    steps = own_figures(samples, [], JOURNAL)["steps"]
    assert steps == {"switch the edge": {"seconds": 0.1, "requests": 1, "p99_ms": pytest.approx(90)}}


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({}, set()),
        ({"failed": 1}, {"failed = 0"}),
        ({"p99_switch_ms": 20.1}, {"p99_switch_ms <= 2 x p99_steady_ms"}),
        ({"p99_steady_ms": None}, {"p99_switch_ms <= 2 x p99_steady_ms"}),
        ({"requests": 199_999}, {"requests >= 200000"}),
        ({"switches": 19}, {"switches >= 20"}),
    ],
)
def test_aims_can_be_missed(change: dict[str, object], missed: set[str]) -> None:
    good = {"failed": 0, "p99_steady_ms": 10.0, "p99_switch_ms": 20.0, "requests": 200_000, "switches": 20}
    assert {aim["aim"] for aim in aims({**good, **change}) if not aim["holds"]} == missed


def test_the_picture_can_be_drawn_of_anything() -> None:
    samples = [at(second / 10, problem="HTTP 502" if second == 50 else "") for second in range(100)]
    drawn = picture([Panel("ours & theirs", samples, [5.0]), Panel("nothing", [], [])])
    text = "".join(ElementTree.fromstring(drawn).itertext())
    assert "ours & theirs: 1 of 100 requests failed" in text
    assert "nothing: 0 of 0" in text


def test_many_failures_are_told_by_the_first_of_them() -> None:
    assert len(failures([at(second, problem="timeout") for second in range(1000)])) == 200
