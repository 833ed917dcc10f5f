"""What a host keeps for the ledger: nothing is lost by a crash, and its head never goes back."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from plugins.module_utils import hands, spooling
from plugins.module_utils.gateway.host_spool import HostSpool, with_head
from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.gateway.signatures import check, sign
from plugins.module_utils.model.document import Node
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.gate import parse_gate
from plugins.module_utils.model.ledger import NO_HEAD, Head
from plugins.module_utils.model.release import Release
from plugins.module_utils.model.statement import HAPPENED, VERIFIED, Signed, Statement, namespace_of
from plugins.module_utils.spooling import for_the_ledger, name_of_host, spool_statement
from plugins.module_utils.vouching import tell_end
from plugins.plugin_utils.ledger_audit import given_head
from tests.unit.ledger.ledger_parts import signed

HEADS = [Head(number, f"{number:064x}") for number in range(1, 6)]
RELEASE = Release(
    3, "ocr", "sha-19b9b98", {"web": "sha256:1"}, {}, "0123456789abcdef", {}, "2026-11-25T06:00:00.000Z",
    stack_file="d" * 64,
)  # fmt: skip


@dataclass
class Host:
    """As much of a host as spooling touches."""

    state: HostState
    environment: str = "production"


@pytest.fixture
def spool(tmp_path: Path) -> HostSpool:
    return HostSpool(tmp_path)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("host") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def test_a_host_that_was_never_told_of_anything_says_so(spool: HostSpool) -> None:
    assert for_the_ledger(spool) == {
        "to_ledger": [], "waiting": 0, "ledger_head": {"number": 0, "hash": ""}, "spool_faults": [],
    }  # fmt: skip


def test_what_is_announced_has_the_head_that_the_host_knows(spool: HostSpool, tmp_path: Path) -> None:
    assert with_head("it is taken back", tmp_path) == "it is taken back (no head of the ledger is known here)"
    spool.acknowledge([], HEADS[3])
    said = with_head("it is taken back", tmp_path)
    assert said == f"it is taken back (ledger head {HEADS[3]})"
    (witness,) = given_head(said.rsplit(" ", 1)[1].rstrip(")"))
    assert witness.head.number == HEADS[3].number
    (tmp_path / "ledger_head.json").write_text("{", encoding="utf-8")
    assert with_head("it is taken back", tmp_path) == "it is taken back (the ledger's head cannot be read here)"


def test_what_waits_is_told_oldest_first_until_it_is_acknowledged(spool: HostSpool) -> None:
    late, early = signed(1, at="2026-11-25T07:00:00.000Z"), signed(2, at="2026-11-25T05:00:00.000Z")
    for one in (late, early, early):
        spool.add(one)
    assert spool.waiting().statements == (early, late)
    assert spool.acknowledge([early.statement.id], HEADS[0]) == HEADS[0]
    assert spool.waiting().statements == (late,)
    assert spool.acknowledge([early.statement.id, "f" * 32], HEADS[0]) == HEADS[0], "told twice, it is the same"


def test_a_head_never_goes_back(spool: HostSpool) -> None:
    assert spool.head() == NO_HEAD
    assert spool.acknowledge([], HEADS[3]) == HEADS[3]
    for behind in (NO_HEAD, HEADS[1], Head(4, "f" * 64)):
        assert spool.acknowledge([], behind) == HEADS[3]
    assert spool.acknowledge([], HEADS[4]) == spool.head() == HEADS[4]


@pytest.mark.parametrize("bad", ["../../etc/passwd", "", "A" * 32, "a" * 31, "a" * 32 + "/x"])
def test_an_id_that_is_none_touches_nothing(spool: HostSpool, bad: str) -> None:
    spool.add(signed(1))
    with pytest.raises(OpsError, match="cannot be the id of a statement"):
        spool.acknowledge([signed(1).statement.id, bad], HEADS[0])
    assert spool.waiting().statements == (signed(1),)
    assert spool.head() == NO_HEAD


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '{"text": "a"}', '{"text": "{}", "signature": "s"}'])
def test_a_file_that_is_no_statement_stays_and_is_told(spool: HostSpool, tmp_path: Path, text: str) -> None:
    spool.add(signed(1))
    odd = tmp_path / "spool" / f"{'e' * 32}.json"
    odd.write_text(text)
    waiting = spool.waiting()
    assert waiting.statements == (signed(1),)
    assert [fault.startswith(f"{odd} is no statement") for fault in waiting.faults] == [True]
    assert odd.exists()


def test_a_statement_under_another_name_is_told(spool: HostSpool, tmp_path: Path) -> None:
    spool.add(signed(1))
    (tmp_path / "spool" / f"{signed(1).statement.id}.json").rename(tmp_path / "spool" / f"{'e' * 32}.json")
    assert spool.waiting().statements == ()
    assert "its name is not the id" in spool.waiting().faults[0]


def test_what_a_crash_left_half_written_is_not_told(spool: HostSpool, tmp_path: Path) -> None:
    spool.add(signed(1))
    (tmp_path / "spool" / f".{'e' * 32}.json.77.part").write_text('{"te')
    assert spool.waiting().statements == (signed(1),)
    assert spool.waiting().faults == ()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"number": 3}', '{"number": "3", "hash": "a"}'])
def test_a_head_that_cannot_be_read_is_not_overwritten(spool: HostSpool, tmp_path: Path, text: str) -> None:
    (tmp_path / "ledger_head.json").write_text(text)
    for act in (spool.head, lambda: spool.acknowledge([], HEADS[0])):
        with pytest.raises(OpsError):
            act()
    assert (tmp_path / "ledger_head.json").read_text() == text


def test_an_answer_carries_so_many_and_says_how_many_wait(spool: HostSpool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "_AT_ONCE", 2)
    for number in (1, 2, 3):
        spool.add(signed(number))
    told = for_the_ledger(spool)
    assert (len(told["to_ledger"]), told["waiting"]) == (2, 3)
    assert [Signed(**one) for one in told["to_ledger"]] == [signed(1), signed(2)]


# -- a host's own word -------------------------------------------------------------------------------------------------


def test_a_host_says_what_it_did_in_its_own_name_and_its_signature_counts(tmp_path: Path, key: Path) -> None:
    host = Host(HostState(tmp_path))
    details = {"action": "deploy", "outcome": "done", "seconds": 4.2, "by": "naoko@laptop"}
    spooled = spool_statement(
        host, HAPPENED, RELEASE, details, why="invoice fix", by="production-1",
        sign_it=lambda statement: sign(statement, key),
    )  # fmt: skip
    assert spooled.warning == ""
    (found,) = HostSpool(tmp_path).waiting().statements
    said = found.statement
    assert (said.id, said.kind, said.by, said.why) == (spooled.id, HAPPENED, "production-1", "invoice fix")
    assert (said.environment, said.stack, said.release) == ("production", "ocr", "sha-19b9b98")
    assert (said.digests, said.definition, said.details) == ({"web": "sha256:1"}, "d" * 64, details)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    gate = parse_gate(Node({"allowed_signers": f'production-1 namespaces="{namespace_of(HAPPENED)}" {public}'}, "gate"))
    assert [one.fault for one in check([found], gate)] == [""]
    (tmp_path / "key.pub").write_text(public)


def refuses(statement: Statement) -> Signed:
    raise OpsError("the key did not sign", where="host key")


def test_what_cannot_be_signed_is_a_warning(tmp_path: Path) -> None:
    spooled = spool_statement(Host(HostState(tmp_path)), VERIFIED, RELEASE, {}, sign_it=refuses)
    assert (spooled.id, spooled.warning) == ("", "the ledger will not know of this: host key: the key did not sign")
    assert HostSpool(tmp_path).waiting().statements == ()


def test_what_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("")
    host = Host(HostState(tmp_path))
    spooled = spool_statement(host, VERIFIED, RELEASE, {}, sign_it=lambda one: Signed(one.text(), "s"))
    assert spooled.id == ""
    assert "cannot be written" in spooled.warning


def test_an_event_is_told_to_history_and_to_the_ledger_as_one(
    tmp_path: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "HOST_KEY", key)
    host = Host(HostState(tmp_path))
    event = {"action": "deploy", "stack": "ocr", "release": "sha-19b9b98", "outcome": "done", "why": "x", "by": "n@l"}
    assert tell_end(cast(hands.Host, host), RELEASE, event) == []
    (told,) = host.state.history("ocr")
    (waiting,) = HostSpool(tmp_path).waiting().statements
    assert told["statement"] == waiting.statement.id
    assert {key: told[key] for key in event} == event
    assert waiting.statement.details == {"action": "deploy", "outcome": "done", "by": "n@l"}
    assert waiting.statement.why == "x"


def test_history_is_told_even_when_the_ledger_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "HOST_KEY", tmp_path / "none")
    host = Host(HostState(tmp_path))
    (warning,) = tell_end(cast(hands.Host, host), RELEASE, {"action": "deploy"})
    assert "did not sign" in warning
    (told,) = host.state.history("ocr")
    assert (told["action"], told["statement"]) == ("deploy", "")


def test_a_host_finds_its_name_by_its_key(key: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "HOST_KEY", key)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    line = f'tokyo-host namespaces="{namespace_of(HAPPENED)}" {public}'
    assert name_of_host(parse_gate(Node({"allowed_signers": line}, "gate"))) == "tokyo-host"
    assert name_of_host(parse_gate(Node({}, "gate"))) == name_of_host() != ""


def test_statements_on_disk_are_readable_by_root_and_its_group_alone(spool: HostSpool, tmp_path: Path) -> None:
    spool.add(signed(1))
    (path,) = (tmp_path / "spool").glob("*.json")
    assert oct(path.stat().st_mode & 0o777) == "0o640"
    assert Signed(**json.loads(path.read_text())) == signed(1)


def test_what_containers_said_is_for_the_hosts_own_history_alone(tmp_path: Path) -> None:
    host = Host(HostState(tmp_path))
    event = {"action": "deploy", "outcome": "undone", "error": "it says: Naoko's invoice", "warnings": ["Naoko"]}
    spool_statement(host, HAPPENED, RELEASE, event, sign_it=lambda one: Signed(one.text(), "s"))
    (waiting,) = HostSpool(tmp_path).waiting().statements
    assert "Naoko" not in waiting.text
    assert waiting.statement.details == {"action": "deploy", "outcome": "undone"}
