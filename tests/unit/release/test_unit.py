"""What a unit does besides the release itself: says lines to the journal, and tells the end of what died."""

from __future__ import annotations

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
