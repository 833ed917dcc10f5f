"""What becomes of a host's statements on their way: written and dropped, or kept by the host, with a warning."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from ansible.errors import AnsibleConnectionFailure

from plugins.module_utils.gateway.host_spool import HostSpool
from plugins.module_utils.gateway.signatures import sign
from plugins.module_utils.model.document import Node
from plugins.module_utils.model.environment import Aws, Environment, LedgerPlace, ObjectStorage, Registry
from plugins.module_utils.model.gate import parse_gate
from plugins.module_utils.model.ledger import LedgerAway, LedgerTampered, Listing, head_from
from plugins.module_utils.model.statement import HAPPENED, Signed, namespace_of
from plugins.module_utils.spooling import for_the_ledger
from plugins.plugin_utils import ledger_errand
from plugins.plugin_utils.estate import EstateAction
from plugins.plugin_utils.ledger import Ledger
from plugins.plugin_utils.ledger_errand import carry, tell_ledger
from tests.unit.ledger.ledger_parts import statement
from tests.unit.ledger.test_ledger_copy import Memory


class AwayMemory(Memory):
    def listing(self) -> Listing:
        raise LedgerAway("the ledger's storage does not answer", where="ledger in memory", do="wait")


class Action:
    """As much of an action as the errand touches; its host is a spool in a folder."""

    def __init__(self, spool: HostSpool, allowed: str, place: LedgerPlace = LedgerPlace("led")) -> None:  # noqa: B008
        gate = parse_gate(Node({"allowed_signers": allowed}, "gate"))
        self.environment = Environment("production", Registry(), Aws(), ObjectStorage(), place, gate=gate)
        self.task_vars = {"inventory_hostname": "production-1"}
        self.rehearsal = False
        self.spool = spool
        self.asked: list[str] = []

    def run_module(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        assert name == "spool"
        arguments = {"ids": [], **arguments}
        self.asked.append(arguments.get("state", "told"))
        if arguments.get("state") == "acknowledged":
            self.spool.acknowledge(arguments["ids"], head_from(arguments["head"]))
        return {"changed": False, **for_the_ledger(self.spool, arguments["ids"] if self.asked[-1] == "told" else ())}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("host") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Memory:
    return replaced(Memory(), monkeypatch, tmp_path)


def replaced(memory: Memory, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Memory:
    monkeypatch.setattr(
        ledger_errand, "Ledger", lambda environment: Ledger(environment, copies=folder / "copies", storage=memory)
    )
    return memory


@pytest.fixture
def spool(tmp_path: Path) -> HostSpool:
    return HostSpool(tmp_path / "host")


@pytest.fixture
def action(spool: HostSpool, key: Path) -> EstateAction:
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    return cast("EstateAction", Action(spool, f'production-1 namespaces="{namespace_of(HAPPENED)}" {public}'))


def said(number: int, key: Path, **changed: Any) -> Signed:
    return sign(statement(number, HAPPENED, **{"by": "production-1", **changed}), key)


def asked(action: EstateAction) -> list[str]:
    return cast("Action", action).asked


def test_a_modules_answer_brings_its_statements_and_costs_one_call_more(
    action: EstateAction, spool: HostSpool, memory: Memory, key: Path
) -> None:
    spool.add(said(1, key))
    result = tell_ledger(action, {"changed": True, "display": ["done"], **for_the_ledger(spool)})
    assert result["display"][0] == "done"
    assert result["display"][1].startswith("  ledger: 1 written, head 1:")
    assert result["ledger"]["written"] == [1]
    assert result["changed"] is True
    assert not {"to_ledger", "waiting", "ledger_head", "spool_faults"} & result.keys()
    assert asked(action) == ["acknowledged"]
    assert (len(memory.texts), spool.waiting().statements, spool.head().number) == (1, (), 1)


def test_a_host_whose_answer_said_nothing_is_asked(
    action: EstateAction, spool: HostSpool, memory: Memory, key: Path
) -> None:
    spool.add(said(1, key))
    result = tell_ledger(action, {"failed": True, "msg": "undone"})
    assert (result["failed"], result["msg"]) == (True, "undone")
    assert asked(action) == ["told", "acknowledged"]
    assert len(memory.texts) == 1


def test_where_nothing_waits_and_the_head_is_known_nobody_is_bothered(
    action: EstateAction, spool: HostSpool, memory: Memory, key: Path
) -> None:
    spool.add(said(1, key))
    tell_ledger(action, for_the_ledger(spool))
    assert tell_ledger(action, {"changed": False, **for_the_ledger(spool)})["display"] == []
    assert asked(action) == ["acknowledged"]


def test_a_ledger_that_went_on_elsewhere_is_told_to_the_host(
    action: EstateAction, spool: HostSpool, memory: Memory, key: Path, tmp_path: Path
) -> None:
    Ledger(action.environment, copies=tmp_path / "elsewhere", storage=memory).append(said(1, key))
    carry(action, for_the_ledger(spool))
    assert spool.head().number == 1


def test_a_ledger_that_is_away_is_a_warning_and_the_host_keeps_it(
    action: EstateAction, spool: HostSpool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key: Path
) -> None:
    replaced(AwayMemory(), monkeypatch, tmp_path)
    spool.add(said(1, key))
    result = tell_ledger(action, {"changed": True, **for_the_ledger(spool)})
    assert (
        "the host keeps it until it does: ledger in memory: the ledger's storage does not answer"
        in result["display"][0]
    )
    assert result["ledger"]["error"]["do"] == "wait"
    assert "failed" not in result
    assert len(spool.waiting().statements) == 1
    with pytest.raises(LedgerAway):
        carry(action, for_the_ledger(spool))


def test_a_ledger_that_is_behind_the_host_is_tampered_with(
    action: EstateAction, spool: HostSpool, memory: Memory, key: Path, tmp_path: Path
) -> None:
    for number in (1, 2):
        spool.add(said(number, key))
    carry(action, for_the_ledger(spool))
    del memory.texts[2]
    for copy in (tmp_path / "copies").iterdir():
        copy.unlink()
    spool.add(said(3, key))
    with pytest.raises(LedgerTampered, match=r"entry 2 \(truncated\): it was cut off: host production-1 knows of it"):
        carry(action, for_the_ledger(spool))
    assert "host production-1 knows of it" in tell_ledger(action, for_the_ledger(spool))["display"][0]
    assert (len(memory.texts), len(spool.waiting().statements)) == (1, 1)


def test_what_cannot_be_verified_is_not_written_and_stays(
    action: EstateAction, spool: HostSpool, memory: Memory, key: Path
) -> None:
    spool.add(said(1, key))
    spool.add(said(2, key, by="somebody"))
    carried = carry(action, for_the_ledger(spool))
    assert carried["ledger"]["written"] == [1]
    assert "its signature does not count: " in carried["display"][0]
    assert [one.statement.id for one in spool.waiting().statements] == [f"{2:032x}"]
    again = carry(action, for_the_ledger(spool))
    assert (again["changed"], len(memory.texts)) == (False, 1)
    assert "its signature does not count: " in again["display"][0]


def test_more_than_one_answer_carries_is_said_to_wait(
    action: EstateAction, spool: HostSpool, memory: Memory, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.module_utils.spooling._AT_ONCE", 2)
    for number in (1, 2, 3):
        spool.add(said(number, key))
    carried = carry(action, for_the_ledger(spool))
    assert carried["display"][1] == "  ledger: 1 wait on the host"
    carry(action, for_the_ledger(spool))
    assert (len(memory.texts), spool.waiting().statements) == (3, ())


def test_a_rehearsal_writes_nothing(action: EstateAction, spool: HostSpool, memory: Memory, key: Path) -> None:
    cast("Action", action).rehearsal = True
    spool.add(said(1, key))
    carried = carry(action, for_the_ledger(spool))
    assert (carried["changed"], carried["ledger"]["waiting"], memory.texts, asked(action)) == (False, 1, {}, [])


def test_an_environment_without_a_ledger_goes_without(spool: HostSpool) -> None:
    result = {"changed": True}
    assert tell_ledger(cast("EstateAction", Action(spool, "", LedgerPlace())), result) is result


def broken(*_: object) -> dict[str, Any]:
    raise AnsibleConnectionFailure("the connection broke")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda *_: {"failed": True, "msg": "disk full"}, "for the ledger: disk full"),
        (lambda *_: {"changed": False}, "for the ledger: it gave another answer"),
        (broken, "for the ledger: the connection broke"),
    ],
)
def test_a_host_that_does_not_say_what_waits_is_a_warning(
    action: EstateAction, memory: Memory, answer: Callable[..., dict[str, Any]], says: str
) -> None:
    cast("Any", action).run_module = answer
    result = tell_ledger(action, {"changed": True, "to_ledger": []})
    assert says in result["display"][0]
    assert result["changed"] is True


def test_a_host_that_cannot_drop_what_is_written_tells_it_again(
    action: EstateAction, spool: HostSpool, memory: Memory, key: Path
) -> None:
    spool.add(said(1, key))
    well = action.run_module
    cast("Any", action).run_module = broken
    assert "the connection broke" in tell_ledger(action, for_the_ledger(spool))["display"][0]
    cast("Any", action).run_module = well
    assert (len(memory.texts), len(spool.waiting().statements)) == (1, 1)
    assert tell_ledger(action, for_the_ledger(spool))["ledger"]["written"] == []
    assert (len(memory.texts), len(spool.waiting().statements)) == (1, 0)


def test_one_whose_id_is_taken_stays_on_the_host_and_the_others_go_on(
    action: EstateAction, spool: HostSpool, memory: Memory, key: Path, tmp_path: Path
) -> None:
    eve = Ledger(action.environment, copies=tmp_path / "eve", storage=memory)
    eve.append(Signed(said(1, key).text, "junk"))
    eve.append(Signed(statement(2, HAPPENED, why="nothing of note").text(), "junk"))
    for number in (1, 2, 3):
        spool.add(said(number, key))
    carried = carry(action, for_the_ledger(spool))
    assert carried["ledger"] == {**carried["ledger"], "written": [3], "waiting": 2}
    assert "entry 1 has another signature of this statement" in carried["display"][0]
    assert "entry 2 has another statement with this id" in carried["display"][1]
    assert [one.statement.id for one in spool.waiting().statements] == [f"{1:032x}", f"{2:032x}"]


def test_those_that_stay_on_the_host_hold_up_no_other(
    action: EstateAction, spool: HostSpool, memory: Memory, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plugins.module_utils.spooling._AT_ONCE", 2)
    for number in range(1, 6):
        spool.add(said(number, key, by="somebody", at="2026-11-25T05:00:00.000Z"))
    spool.add(said(6, key))
    carried = carry(action, for_the_ledger(spool))
    assert carried["ledger"] == {**carried["ledger"], "written": [1], "waiting": 5}
    assert asked(action) == ["told", "told", "acknowledged"]
    again = carry(action, for_the_ledger(spool))
    assert (again["changed"], again["ledger"]["waiting"], len(memory.texts)) == (False, 5, 1)
