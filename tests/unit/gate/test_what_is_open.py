"""What is open is told from the ledger and from what hosts keep because it was away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugins.action import statement_info
from plugins.module_utils.gateway.host_state import now
from plugins.module_utils.gateway.signatures import sign
from plugins.module_utils.model.statement import BREAK_GLASS, CLOSED, Signed, Statement
from tests.unit.gate.controller_parts import DIGEST, REASON, RELEASE, Ledger, environment, make_keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys"))


def said(keys: Path, kind: str, by: str, **more: Any) -> Signed:
    common: dict[str, Any] = {"environment": "production", "stack": "ocr", "release": RELEASE}
    about = {"digests": {"web": DIGEST}, "definition": "a" * 64, "at": now(), "why": REASON}
    return sign(Statement(kind=kind, by=by, **{**common, **about, **more}), keys / by)


def found(keys: Path, monkeypatch: pytest.MonkeyPatch, ledger: Ledger, **hosts: list[Signed] | None) -> dict[str, Any]:
    monkeypatch.setattr(statement_info, "Ledger", lambda _: ledger)
    action = statement_info.ActionModule.__new__(statement_info.ActionModule)
    action.__dict__["environment"] = environment(keys)
    answers = {host: {"to_ledger": [one.as_dict() for one in said]} for host, said in hosts.items() if said is not None}
    action.task_vars = {
        "inventory_dir": "/x/inventories/production",
        "ansible_play_hosts_all": list(hosts),
        "hostvars": {host: {"waiting": answers[host]} if host in answers else {} for host in hosts},
    }
    return action._found("", "waiting")


def test_glass_broken_while_the_ledger_was_away_is_open_and_told_how_to_be_brought(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    glass = said(keys, BREAK_GLASS, "developer")
    for ledger in (Ledger(), Ledger(away=True)):
        told = found(keys, monkeypatch, ledger, one=[glass])
        assert [(row["open"], row["id"]) for row in told["rows"]] == [(BREAK_GLASS, glass.statement.id)]
        text = "\n".join(told["display"])
        assert "tell_ledger.yml -i inventories/production --limit production" in text
        assert ("cannot be told by the ledger; below is what waits on hosts" in text) == ledger.away


def test_what_the_ledger_has_as_well_is_told_once_and_closed_glass_is_not(
    keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    glass = said(keys, BREAK_GLASS, "developer")
    told = found(keys, monkeypatch, Ledger([glass]), one=[glass], two=[])
    assert len(told["rows"]) == 1
    assert not any("tell_ledger" in line for line in told["display"])
    closed = said(keys, CLOSED, "approver", of=glass.statement.id)
    assert found(keys, monkeypatch, Ledger([glass, closed]), one=[glass])["rows"] == []


def test_a_forged_statement_on_a_host_and_a_host_without_an_answer(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    glass = said(keys, BREAK_GLASS, "developer")
    forged = Signed(glass.text.replace(RELEASE, "sha-0000000"), glass.signature)
    told = found(keys, monkeypatch, Ledger(), one=[forged], two=None)
    assert told["rows"] == []
    assert told["display"] == ["No answer from two: what waits there for the ledger is missing."]
