"""What a comparison of convergences comes to, and the estate it is made on."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from plugins.module_utils.model.document import Node
from plugins.module_utils.model.stack import parse_stack
from tests.bench import converge_estate
from tests.bench.converge_figures import MEANINGS, Aim, aims, medians, peaks, phases, picture, table

GOOD = {
    "ping_s": 0.6,
    "noop_s": 0.875,
    "compose_noop_s": 0.4,
    "stock_noop_s": 9.0,
    "stock_plain_noop_s": 18.0,
    "first_s": 4.5,
    "compose_first_s": 3.0,
    "module_rss_mb": 120.0,
}


def test_one_slow_sample_moves_no_median() -> None:
    assert medians({"noop_s": [1.0, 9.0, 1.1, 0.9, 1.2]}) == {"noop_s": 1.1}


def test_a_peak_is_the_most_of_all() -> None:
    assert peaks({"module_rss_mb": [60.0, 71.26, 58.0]}) == {"module_rss_mb": 71.3}


def test_every_aim_holds_at_its_limit() -> None:
    assert [aim.name for aim in aims(GOOD) if not aim.holds] == []


@pytest.mark.parametrize(
    ("name", "value", "missed"),
    [
        ("noop_s", 0.91, ["noop_s <= 1.5 x ping_s", "stock_noop_s / noop_s >= 10"]),
        ("stock_noop_s", 8.7, ["stock_noop_s / noop_s >= 10"]),
        ("first_s", 4.51, ["first_s <= 1.3 x compose_first_s + ping_s"]),
        ("module_rss_mb", 120.1, ["module_rss_mb <= 120"]),
    ],
)
def test_what_is_past_its_limit_misses(name: str, value: float, missed: list[str]) -> None:
    assert [aim.name for aim in aims(GOOD | {name: value}) if not aim.holds] == missed


def test_an_aim_is_told_with_its_limit() -> None:
    told = Aim("a <= b", 1.23456, 1).as_dict()
    assert told == {"aim": "a <= b", "figure": 1.235, "limit": 1, "holds": False}


def test_the_table_tells_every_figure_and_every_aim() -> None:
    lines = "\n".join(table(GOOD, {name: [value, value] for name, value in GOOD.items()}, {"start": 300}))
    assert [name for name in MEANINGS if name not in lines] == []
    assert lines.count("holds") == len(aims(GOOD))


def test_phases_end_where_a_run_first_says_so_and_add_up() -> None:
    text = "\n".join(
        (
            " 11 100.300: starting run",
            "not a mark: starting run",
            " 11 100.500: getting the remaining hosts for this loop",
            " 12 100.700: ANSIBALLZ: using cached module: x",
            " 12 100.800: Sent initial data (10 bytes)",
            " 12 101.000: stdout chunk (state=3):",
            " 12 101.050: stdout chunk (state=3):",
        )
    )
    spent = phases(text, 100.0, 101.2)
    assert list(spent.values()) == [300, 200, 200, 100, 200, 200]
    assert "the request is checked" not in spent


def test_the_picture_is_xml_with_a_bar_for_each_time() -> None:
    bars = ET.fromstring(picture(GOOD)).findall("{http://www.w3.org/2000/svg}rect")
    assert len(bars) == 1 + sum(name.endswith("_s") for name in MEANINGS)


def test_ours_is_a_stack_file_and_the_peers_have_as_many_containers() -> None:
    for name in converge_estate.STACKS:
        parsed = parse_stack(Node(converge_estate.stack(name), name))
        peer = converge_estate.project(name)
        assert {one.name for one in parsed.accessories} == set(peer["services"]) == set(converge_estate.SERVICES)
        assert "x-ops" not in peer
