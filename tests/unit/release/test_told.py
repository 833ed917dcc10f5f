"""What is asked of a unit and what it tells: secrets do not stay, and the end is told once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from plugins.module_utils.gateway.told import ENDED, Told, clear_requests, tellings
from plugins.module_utils.model.errors import OpsError

ID = "0123456789ab"


def test_a_request_is_for_root_alone_and_is_gone_once_read(tmp_path: Path) -> None:
    told = Told("shop", ID, tmp_path)
    assert not told.is_known()
    told.ask({"secrets": {"KEY": "geheim"}})
    (request,) = (tmp_path / "requests").iterdir()
    assert request.stat().st_mode & 0o777 == 0o600
    assert request.parent.stat().st_mode & 0o777 == 0o700
    assert (told.is_known(), told.is_asked()) == (True, True)
    assert told.asked() == {"secrets": {"KEY": "geheim"}}
    assert (told.is_known(), told.is_asked()) == (True, False)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "geheim" in path.read_text()]
    with pytest.raises(OpsError, match="there is no request to carry out"):
        told.asked()


def test_a_request_nobody_came_for_does_not_lie_about(tmp_path: Path) -> None:
    told = Told("shop", ID, tmp_path)
    told.ask({})
    clear_requests(tmp_path)
    assert told.is_asked(), "it may be on its way"
    os.utime(tmp_path / "requests" / f"{ID}.json", (0, 0))
    clear_requests(tmp_path)
    assert not told.is_asked()
    clear_requests(tmp_path / "nowhere")


def test_events_are_told_in_their_order_and_the_end_once(tmp_path: Path) -> None:
    told = Told("shop", ID, tmp_path)
    assert told.since(0) == []
    told.tell({"say": "nobody can hear it before it was asked for"})
    told.ask({})
    told.tell({"say": "one"})
    told.tell({"say": "zwei: ü"})
    assert told.since(1) == [{"say": "zwei: ü"}]
    assert not told.has_ended()
    told.end({"changed": True})
    told.end({"changed": False})
    assert told.since(2) == [{ENDED: {"changed": True}}]
    assert told.has_ended()


def test_a_line_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    told = Told("shop", ID, tmp_path)
    told.ask({})
    told.tell({"say": "one"})
    with (tmp_path / "told" / "shop" / f"{ID}.jsonl").open("ab") as handle:
        handle.write(b'{"say": "tw')
    assert told.since(0) == [{"say": "one"}]


def test_the_newest_is_found_and_old_ones_make_room(tmp_path: Path) -> None:
    assert tellings("shop", tmp_path) == []
    for number in range(15):
        told = Told("shop", f"{number:012x}", tmp_path)
        told.ask({})
        path = tmp_path / "told" / "shop" / f"{number:012x}.jsonl"
        os.utime(path, (1000 + number, 1000 + number))
    found = tellings("shop", tmp_path)
    assert found[0].transaction == f"{14:012x}"
    assert len(list((tmp_path / "told" / "shop").iterdir())) <= 11


@pytest.mark.parametrize(
    ("stack", "transaction"), [("../x", ID), ("shop", "../../etc"), ("", ID), ("shop", ""), ("Shop", ID)]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, stack: str, transaction: str) -> None:
    with pytest.raises(OpsError, match="is no transaction"):
        Told(stack, transaction, tmp_path)


def test_a_secret_that_a_container_repeats_is_told_to_nobody(tmp_path: Path) -> None:
    told = Told("shop", ID, tmp_path)
    told.ask({"secrets": {"KEY": "geheim-value"}})
    told.asked()
    told.tell({"step": "wait", "error": "it says: cannot log in with geheim-value"})
    told.end({"failed": True, "msg": "geheim-value", "display": ["a geheim-value"]})
    assert [entry["error"] for entry in told.since(0)[:1]] == ["it says: cannot log in with ********"]
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "geheim-value" in path.read_text()]
    assert told.veiled("with geheim-value") == "with ********"
