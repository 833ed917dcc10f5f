"""What a unit does besides the release itself: says lines to the journal, and tells the end of what died."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils import unit
from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.gateway.told import ENDED, Told
from plugins.module_utils.model.begun import Begun
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.receipt import UNDONE, Receipt
from plugins.module_utils.model.release import StackState

ID = "0123456789ab"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Units that find the memory of this host."""
    monkeypatch.setattr(unit, "HostState", lambda: HostState(tmp_path / "var", tmp_path / "run"))
    monkeypatch.setattr(unit, "Told", lambda stack, transaction: Told(stack, transaction, tmp_path / "run"))
    monkeypatch.setattr(unit, "clear_requests", lambda: None)
    return tmp_path


def told(host: Path) -> Told:
    found = Told("shop", ID, host / "run")
    found.ask({})
    return found


def end(found: Told) -> dict[str, Any]:
    (last,) = [entry[ENDED] for entry in found.since(0) if ENDED in entry]
    return dict(last)


def test_what_died_before_it_began_is_told_as_such(host: Path) -> None:
    found = told(host)
    assert unit.main(["tend", "shop", ID]) == 0
    assert end(found)["failed"] is True
    assert "it was cut off before it began" in end(found)["msg"]


@pytest.mark.parametrize(("outcome", "failed"), [("done", False), ("undone", True)])
def test_what_died_after_history_had_its_end_is_told_from_there(host: Path, outcome: str, failed: bool) -> None:
    found = told(host)
    event = {"transaction": ID, "outcome": outcome, "release": "sha-1", "error": "smoke tests 2/3" if failed else ""}
    HostState(host / "var").tell("shop", event)
    assert unit.main(["tend", "shop", ID]) == 0
    assert end(found).get("failed", False) == failed
    assert end(found)["report"]["outcome"] == outcome
    assert not failed or "smoke tests 2/3; it was undone" in end(found)["msg"]


def test_an_end_that_was_told_stays(host: Path) -> None:
    found = told(host)
    found.end({"changed": True})
    assert unit.main(["tend", "shop", ID]) == 0
    assert end(found) == {"changed": True}


def test_a_stack_that_cannot_be_read_does_not_keep_the_others_from_being_tended(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for stack in ("broken", "shop"):
        (host / "var" / "stacks" / stack).mkdir(parents=True)
    (host / "var" / "stacks" / "broken" / "transaction.json").write_text('{"stack": "broken"}')
    (host / "var" / "stacks" / "shop" / "watch.json").write_text(
        '{"transaction": "t", "stack": "shop", "number": 2, "previous": 1, "until": "2026-01-01T00:00:00Z"}'
    )
    assert unit.main(["tend"]) == 1
    assert "<1>transaction.json of broken: what was begun cannot be read" in capsys.readouterr().out
    assert not (host / "var" / "stacks" / "shop" / "watch.json").exists(), "its time was over"


def test_lines_for_the_journal_have_their_priority(capsys: pytest.CaptureFixture[str]) -> None:
    unit.say(unit.ALERT, "one\ntwo")
    assert capsys.readouterr().out == "<1>one\n<1>two\n"


def test_a_request_that_is_not_there_is_an_error_and_not_a_release(host: Path) -> None:
    assert unit.main(["release", "shop", ID]) == 1


def test_names_that_lead_elsewhere_are_refused(host: Path) -> None:
    for words in (["tend", "../x", ID], ["release", "shop", "../../etc/x"]):
        assert unit.main(words) == 1
    with pytest.raises(OpsError):
        HostState(host / "var").begun("../x")


def test_an_end_that_cannot_be_written_down_is_told_and_left_to_the_timer(
    host: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = told(host)
    begun = Begun(ID, "shop", 2, "deploy", StackState(live=1), was_present=False, began="2026-11-26T00:00:00.000Z")
    HostState(host / "var").begin(begun)
    receipt = Receipt("deploy", "shop", "sha-2", 2, 1, outcome=UNDONE, error="the disk is full", transaction=ID)
    monkeypatch.setattr(unit, "_settled", lambda *_: receipt)
    assert unit.main(["tend", "shop", ID]) == 1
    assert "shop sha-2: the disk is full; it was undone, and what was live before serves" in end(found)["msg"]
    assert "<1>shop: how it ended cannot be written down" in capsys.readouterr().out


def begin(host: Path, stack: str, transaction: str = ID) -> None:
    begun = Begun(transaction, stack, 2, "deploy", StackState(live=1), was_present=False, began="2026-11-26T00:00:00Z")
    HostState(host / "var").begin(begun)


@pytest.mark.parametrize("words", [["tend"], ["tend", "shop"]])
def test_a_release_that_goes_on_is_nothing_to_mend_and_no_alert(
    host: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(unit, "hands", lambda *_, **__: pytest.fail("the engine was asked before the lock was"))
    begin(host, "shop")
    began = time.monotonic()
    with HostState(host / "var", host / "run").locked("shop", "deploy of sha-2 by ann"):
        assert unit.main(words) == 0
    assert time.monotonic() - began < 1.0
    assert "<1>" not in capsys.readouterr().out
    assert not Told("shop", ID, host / "run").has_ended()


def test_housekeeping_of_a_stack_that_is_held_says_nothing(
    host: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("plugins.module_utils.windows.has_ended", lambda *_: True)
    (host / "var" / "stacks" / "shop").mkdir(parents=True)
    with HostState(host / "var", host / "run").locked("shop", "deploy of sha-2 by ann"):
        assert unit.main(["tend"]) == 0
    assert capsys.readouterr().out == ""


def test_after_a_unit_its_own_transaction_is_tried_for_a_while_and_from_the_timer_once(
    host: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tries: list[str] = []

    def away(_state: HostState, begun: Begun, _told: Told) -> None:
        tries.append(begun.stack)
        if len(tries) < 3:
            raise OpsError("the engine does not answer")
        HostState(host / "var").ended(begun.stack)

    monkeypatch.setattr(unit, "RETRY_S", 0.0)
    monkeypatch.setattr(unit, "_settled", away)
    told(host)
    begin(host, "shop")
    assert unit.main(["tend"]) == 1
    assert tries == ["shop"]
    assert "<1>the engine does not answer; tried again by seisei-tend.timer" in capsys.readouterr().out
    assert unit.main(["tend", "shop", ID]) == 0
    assert len(tries) == 3


def test_after_a_unit_another_transaction_of_its_stack_is_left_alone(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unit, "_settled", lambda *_: pytest.fail("it is somebody else's"))
    found = told(host)
    begin(host, "shop", "ffffffffffff")
    assert unit.main(["tend", "shop", ID]) == 0
    assert "it was cut off before it began" in end(found)["msg"]


def test_what_another_mends_at_the_moment_is_left_to_it_in_the_end(
    host: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(unit, "ENGINE_LIMIT_S", 0.0)
    told(host)
    begin(host, "shop")
    with HostState(host / "var", host / "run").locked("shop", "rollback by ann"):
        assert unit.main(["tend", "shop", ID]) == 0
    assert "<1>" not in capsys.readouterr().out


@pytest.mark.parametrize("fault", [OpsError("the engine does not answer"), KeyError("number"), OSError("disk")])
def test_whatever_is_wrong_with_one_stack_the_others_are_tended(
    host: Path, fault: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = []

    def settled(_state: HostState, begun: Begun, _told: Told) -> None:
        tried.append(begun.stack)
        raise fault

    monkeypatch.setattr(unit, "_settled", settled)
    for stack in ("odoo", "shop"):
        begin(host, stack)
    assert unit.main(["tend"]) == 1
    assert tried == ["odoo", "shop"]
    assert capsys.readouterr().out.count("<1>") == 2
