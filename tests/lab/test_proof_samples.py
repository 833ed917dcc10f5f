"""A small sample of what the measurements hold at length: switches under load, and releases that are struck."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.load import Load
from tests.bench.one_host import alone, site
from tests.crash.faults import FAULTS
from tests.crash.matrix import DEPLOY, ROLL_BACK, Cell
from tests.crash.trial import Estate, tidy, tried
from tests.lab.procedure_parts import BETTER

pytestmark = [pytest.mark.lab, pytest.mark.slow]

RATE = 100.0
SAMPLE = [
    Cell("transaction", DEPLOY, "switch the edge", "done"),
    Cell("connection", ROLL_BACK, "switch the edge", "begin"),
    Cell("disk", DEPLOY, "smoke through the edge", "begin"),
]


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    """The throw-away host with the edge and a small stack; emptied afterwards, as scenarios leave it."""
    folder: Path = tmp_path_factory.mktemp("estate")
    with alone():
        tidy()
        estate = Estate(folder)
        estate.prepare(lambda _said: None)
        yield estate
        tidy()
        estate.empty()


def test_no_request_fails_while_releases_are_switched(estate: Estate) -> None:
    with Load(site(), RATE) as load:
        deployed = estate.deploy(BETTER)
        back = estate.roll_back()
    assert deployed.code == 0, deployed.text
    assert back.code == 0, back.text
    figures = load.figures()
    assert figures.kinds.keys() >= {"new connection", "slow", "slow upload", "web socket"}
    assert (figures.failed, figures.examples) == (0, ())
    assert len(figures.releases) == 2


@pytest.mark.parametrize("cell", SAMPLE, ids=lambda cell: cell.key.replace(" / ", "-"))
def test_all_is_at_rest_after_a_fault(estate: Estate, cell: Cell) -> None:
    estate.come_to_rest()
    FAULTS[cell.fault].before()
    try:
        row = tried(estate, cell)
    finally:
        FAULTS[cell.fault].after()
    assert row["wrong"] == [], row
