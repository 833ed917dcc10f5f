"""A host answers for the stack file that it worked out itself, and for no other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from plugins.module_utils import release as release_module
from plugins.module_utils import vouching
from plugins.module_utils.apply import new_release
from plugins.module_utils.definition import proven
from plugins.module_utils.gateway.host_gate import HostGate
from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.hands import Host
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.gate import Gate
from plugins.module_utils.model.host import WantedStack
from plugins.module_utils.model.release import Release
from plugins.module_utils.model.statement import definition_of
from plugins.plugin_utils.estate import EstateAction, load_stack, stack_source
from plugins.plugin_utils.gate import pass_gate
from tests.unit.gate.controller_parts import RELEASE, VARIABLES, Action, Ledger, environment, make_keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys"))


def sent(keys: Path, definition: str) -> dict[str, Any]:
    """What goes to a host of staging, after its way over the wire; ``definition`` is what it says of itself."""
    action = Action(environment(keys, "staging"), None, {"stack": "ocr", "release": RELEASE})
    given = {**action.given(), **pass_gate(cast(EstateAction, action), action.given(), ledger=Ledger()).arguments}
    given["entry"]["stack_file"] = definition
    return dict(json.loads(json.dumps(given)))


OURS = definition_of(stack_source("ocr"))


def test_where_no_gate_is_the_stack_file_comes_along_all_the_same(keys: Path) -> None:
    given = sent(keys, OURS)
    assert given["gate"]["required"] is False
    assert proven(given["entry"], given["gate"])["stack_file"] == OURS


def test_a_stack_file_that_is_not_the_one_that_would_run_is_refused(keys: Path) -> None:
    given = sent(keys, "d" * 64)
    with pytest.raises(OpsError, match=r"it says that it is of stack file dddddddddddd, and what would run"):
        proven(given["entry"], given["gate"])
    given = sent(keys, OURS)
    given["entry"]["tree"]["services"]["web"]["environment"] = {"EVIL": "1"}
    with pytest.raises(OpsError, match="is not the one in the stack file that came with it"):
        proven(given["entry"], given["gate"])


def test_of_a_stack_file_that_did_not_come_along_nothing_is_said(keys: Path) -> None:
    given = sent(keys, OURS)
    assert proven(given["entry"], {"required": False})["stack_file"] == ""


def test_a_host_vouches_for_no_stack_file_that_it_does_not_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vouching, "read_gate", lambda: HostGate("staging", Gate(verified_in="staging")))
    (tmp_path / "spool").mkdir()
    release = Release(1, "ocr", RELEASE, {"web": "sha256:" + "a" * 64}, {}, "mark", {}, "2026-12-08T06:30:00Z")
    nothing = cast(Any, None)
    host = Host(nothing, HostState(tmp_path), nothing, nothing, nothing, "staging")
    assert "does not vouch for sha-724f892" in vouching.vouch(host, release, "3 passed")[0]
    assert list((tmp_path / "spool").iterdir()) == []


def test_what_is_on_record_as_of_another_stack_file_is_put_live_anew_where_it_is_to_be_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = cast(Any, None)
    host = Host(nothing, HostState(tmp_path), nothing, nothing, nothing, "staging")
    stack = load_stack("ocr", VARIABLES)
    wanted = WantedStack(stack, {"web": "sha256:" + "a" * 64}, stack_file=OURS)
    live = replace(new_release(host, wanted, RELEASE, wanted.digests), stack_file="")
    host.state.add_record(live)
    host.state.set_state("ocr", replace(host.state.state("ocr"), live=live.number))
    for vouches, again in ((False, False), (True, True)):
        monkeypatch.setattr(release_module, "vouches", lambda vouches=vouches: vouches)
        receipt, _ = release_module.deploy(host, release_module.Request(wanted, {}), RELEASE, rehearse=True)
        assert (receipt is not None) is again
