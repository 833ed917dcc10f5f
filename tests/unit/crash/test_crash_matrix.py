"""The matrix of faults and steps, and what must hold after each: decided without a host."""

from __future__ import annotations

from typing import Any

import pytest

from tests.crash.invariants import wrong
from tests.crash.matrix import DEPLOY, FAULTS, ROLL_BACK, cells, chosen, points_of, sample, summary, table

POINTS = {DEPLOY: [("start", "begin"), ("start", "done"), ("end", "done")], ROLL_BACK: [("switch", "begin")]}


def test_steps_come_from_a_journal_each_once_and_in_order() -> None:
    journal = [
        {"step": "start", "event": "begin"},
        {"step": "start", "event": "done"},
        {"say": "something else"},
        {"step": "start", "event": "done"},
        {"step": "end", "event": "done"},
    ]
    assert points_of(journal) == POINTS[DEPLOY]


def test_every_fault_meets_every_step_of_both() -> None:
    every = cells(POINTS)
    assert len(every) == len({cell.key for cell in every}) == len(FAULTS) * 4
    assert [(cell.action, cell.step) for cell in every[:3]] == [
        (DEPLOY, "start"), (ROLL_BACK, "switch"), (DEPLOY, "start")
    ]  # fmt: skip


def test_cells_are_chosen_by_all_words() -> None:
    every = cells(POINTS)
    assert [cell.event for cell in chosen(every, ["fault=engine", "step=sta", "action=deploy"])] == ["begin", "done"]
    assert chosen(every, []) == every
    with pytest.raises(ValueError, match="fault="):
        chosen(every, ["engine"])
    with pytest.raises(ValueError, match="'colour=red'"):
        chosen(every, ["colour=red"])


def test_a_sample_is_the_same_every_time() -> None:
    every = cells(POINTS)
    drawn = sample(every, 8)
    assert drawn == sample(every, 8)
    assert len({cell.key for cell in drawn}) == 8
    assert drawn == sorted(drawn, key=every.index)
    assert sample(every[:2], 5) == every[:2]


def test_a_summary_counts_against_the_whole_matrix() -> None:
    rows: list[dict[str, Any]] = [
        {"fault": "disk", "wrong": [], "recovery_s": 1.0, "requests": 100, "failed": 0},
        {"fault": "disk", "wrong": ["the stack is locked"], "recovery_s": None, "requests": 50, "failed": 2},
        {"fault": "host", "wrong": [], "recovery_s": 9.0, "requests": 10, "failed": 9},
    ]
    told = summary(rows, 400)
    assert (told["passed"], told["total"], told["tried"], told["failed_requests"]) == (2, 400, 3, 2)
    assert told["wrong"] == {"disk: the stack is locked": 1}
    text = "\n".join(table(rows, told))
    assert "2 of 400 passed; 3 tried" in text
    assert "1 times  disk: the stack is locked" in text


def well() -> dict[str, Any]:
    containers = [
        {"name": f"shop-web-{number}", "number": number, "running": True, "health": "healthy"} for number in (3, 4)
    ]
    return {
        "state": {"live": 4, "standby": 3, "bad": []},
        "records": {"3": {"release": "sha-a"}, "4": {"release": "sha-b"}},
        "containers": containers,
        "placed": ["http://shop-web-4:80"],
        "served": ["http://shop-web-4:80"],
        "locked": False,
        "begun": False,
        "units": [],
    }


def test_a_stack_at_rest_is_right() -> None:
    assert wrong(well(), "sha-b") == []


@pytest.mark.parametrize(
    ("change", "seen", "said"),
    [
        ({"error": "no engine"}, "sha-b", "cannot be looked at: no engine"),
        ({"state": {"live": 0, "standby": 3}}, "sha-b", "no release is recorded as live"),
        ({"state": {"live": 4, "standby": 0}}, "sha-b", "there is no release to return to"),
        ({"state": {"live": 4, "standby": 3, "bad": [3]}}, "sha-b", "the release to return to is marked bad"),
        ({"state": {"live": 4, "standby": 3, "bad": [4]}}, "sha-b", "the live release is marked bad"),
        ({"state": {"live": 4, "standby": 2}}, "sha-b", "the release to return to has no record"),
        ({"containers": [{"name": "shop-web-4", "number": 4, "running": True, "health": "starting"}]}, "sha-b",
         "the live release is not healthy"),
        ({"containers": [{"name": "shop-web-4", "number": 4, "running": True, "health": "healthy"}]}, "sha-b",
         "the release to return to has no container"),
        ({"containers": [*well()["containers"], {"name": "x", "number": 5, "running": False, "health": ""}]}, "sha-b",
         "containers of 1 other release are left"),
        ({"placed": ["http://shop-web-3:80"]}, "sha-b", "the edge's file does not lead to the live release"),
        ({"placed": []}, "sha-b", "the edge's file does not lead to the live release"),
        ({"served": ["http://shop-web-3:80"]}, "sha-b", "does not lead to the live release by its own account"),
        ({}, "sha-a", "a visitor does not meet the live release"),
        ({}, "", "a visitor does not meet the live release"),
        ({"locked": True}, "sha-b", "the stack is locked"),
        ({"begun": True}, "sha-b", "a transaction is left begun"),
        ({"units": ["seisei-release-shop"]}, "sha-b", "a unit of a release runs"),
    ],
)  # fmt: skip
def test_whatever_is_not_right_is_said(change: dict[str, Any], seen: str, said: str) -> None:
    assert any(said in words for words in wrong({**well(), **change}, seen))
