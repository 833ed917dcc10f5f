"""Whoever looks on without a name sees what goes on, not how somebody else was refused because of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils import units
from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.gateway.told import Told, tellings
from plugins.module_utils.model.begun import Begun
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.release import StackState

RUNNING, REFUSED = "aaaaaaaaaaaa", "bbbbbbbbbbbb"


class Units:
    """Of the units of this host, one runs."""

    def runs(self, name: str) -> bool:
        return name == units.unit_of("shop", RUNNING)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(units, "HostState", lambda: HostState(tmp_path / "var", tmp_path / "run"))
    monkeypatch.setattr(units, "Told", lambda stack, transaction: Told(stack, transaction, tmp_path / "run"))
    monkeypatch.setattr(units, "tellings", lambda stack: tellings(stack, tmp_path / "run"))
    monkeypatch.setattr(units, "Units", Units)
    return tmp_path / "run"


def tell(run: Path, transaction: str, at: float, *, end: dict[str, Any] | None = None) -> None:
    told = Told("shop", transaction, run)
    told.ask({})
    told.tell({"say": transaction})
    if end:
        told.end(end)
    os.utime(run / "told" / "shop" / f"{transaction}.jsonl", (at, at))


def looked_on() -> units.Heard:
    return units.listen("shop", "", 0, least_s=0.0, most_s=0.0)


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "a migration, or before it begins"])
def test_a_second_person_s_refusal_does_not_hide_what_goes_on(run: Path, begun: bool) -> None:
    tell(run, RUNNING, 1000)
    tell(run, REFUSED, 2000, end={"failed": True})
    if begun:
        note = Begun(RUNNING, "shop", 2, "deploy", StackState(live=1), was_present=False, began="2026-11-26T00:00:00Z")
        HostState(run.parent / "var").begin(note)
    heard = looked_on()
    assert (heard.transaction, heard.result, heard.lines) == (RUNNING, None, [RUNNING])


def test_when_nothing_goes_on_the_newest_is_shown(run: Path) -> None:
    tell(run, RUNNING, 1000, end={"changed": True})
    tell(run, REFUSED, 2000, end={"failed": True})
    assert looked_on().result == {"failed": True}


def test_one_that_never_told_its_end_and_does_not_run_hides_nothing(run: Path) -> None:
    tell(run, "cccccccccccc", 1000)
    tell(run, REFUSED, 2000, end={"failed": True})
    assert looked_on().result == {"failed": True}


def test_where_nothing_was_told_it_says_what_to_read(run: Path) -> None:
    with pytest.raises(OpsError, match=r"history\.yml -e stack=shop"):
        looked_on()
    assert not run.exists()
