"""Figures of a switch: the edge's own counters, and what a steady probe notices."""

from __future__ import annotations

import time
from itertools import chain, repeat
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.gateway.steady_probe import SteadyProbe
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.smoke import Observed
from plugins.module_utils.plan.traffic import Traffic, read_counters, traffic_between
from plugins.module_utils.traffic import TrafficWatch

RECORDED = (Path(__file__).parent / "recorded" / "traefik_3.7_metrics.txt").read_text()


def test_reads_what_traefik_writes() -> None:
    found = read_counters(RECORDED)
    assert found == {
        ("shop-web", 200): 3,  # GET and POST
        ("shop-web", 404): 3,
        ("shop-web", 502): 1,
        ("shop-web-old", 200): 1,
        ("shop-web-old", 404): 1,
    }


def test_reads_large_counters_and_passes_over_the_rest() -> None:
    text = 'traefik_service_requests_total{code="200",service="a@file"} 1.234567e+06\n# HELP x\nother{code="1"} 2\n'
    assert read_counters(text) == {("a", 200): 1234567}
    assert read_counters("") == {}


def test_a_brace_within_a_label_and_services_of_the_edge_itself_are_no_trouble() -> None:
    text = 'traefik_service_requests_total{code="200",method="}",service="a@file"} 2\n'
    text += 'traefik_service_requests_total{code="200",service="ping@internal"} 9\n'
    assert read_counters(text) == {("a", 200): 2}


def test_counts_only_the_services_asked_for() -> None:
    after = read_counters(RECORDED)
    assert traffic_between({}, after, {"shop-web"}) == Traffic(7, 1)
    assert traffic_between(after, after, {"shop-web"}) == Traffic(0, 0)


def test_an_edge_that_was_restarted_counts_from_nothing() -> None:
    assert traffic_between({("a", 200): 900}, {("a", 200): 5, ("a", 503): 2}, {"a"}) == Traffic(7, 2)


Numbers = dict[tuple[str, int], int]
_counters = st.dictionaries(st.tuples(st.sampled_from(["a", "b"]), st.integers(100, 599)), st.integers(0, 10**9))


@given(_counters, _counters)
def test_never_negative_and_never_more_failed_than_seen(before: Numbers, more: Numbers) -> None:
    after = {key: before.get(key, 0) + more.get(key, 0) for key in {*before, *more}}
    found = traffic_between(before, after, {"a"})
    assert found.requests == sum(count for (service, _), count in more.items() if service == "a")
    assert 0 <= found.failed <= found.requests


def test_the_probe_tells_failures_and_the_longest_gap() -> None:
    answers = chain([Observed(200)], repeat(Observed(502), 5), repeat(Observed(200)))
    probe = SteadyProbe(lambda: next(answers), every_s=0.02)
    probe.start()
    time.sleep(0.3)
    figures = probe.stop()
    assert figures.failed == 5
    assert figures.asked > 8
    assert 110 <= figures.longest_gap_ms < 250  # six intervals


def test_a_gap_that_is_still_open_counts() -> None:
    probe = SteadyProbe(lambda: Observed(error="refused"), every_s=0.02)
    probe.start()
    time.sleep(0.2)
    figures = probe.stop()
    assert figures.asked == figures.failed
    assert figures.longest_gap_ms >= 190


def test_figures_without_the_edges_counters_say_why() -> None:
    def refuse() -> str:
        raise OpsError("the API of the edge does not answer")

    watch = TrafficWatch(refuse, lambda: Observed(200), {"a"})
    watch.start()
    figures = watch.stop()
    assert "requests" not in figures
    assert "does not answer" in figures["missing"]
    assert figures["probes"] >= 1


def test_figures_for_a_receipt() -> None:
    texts = iter(["", RECORDED])
    watch = TrafficWatch(lambda: next(texts), lambda: Observed(200), {"shop-web"})
    watch.start()
    assert watch.running
    figures = watch.stop()
    assert (figures["requests"], figures["failed"], figures["probes_failed"]) == (7, 1, 0)
