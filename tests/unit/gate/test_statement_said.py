"""What a person says of a release, and how it is taken back, as the action behind accept and approve tells it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plugins.action import statement as statement_action
from plugins.module_utils.gateway.host_state import now
from plugins.module_utils.gateway.signatures import sign
from plugins.module_utils.model.statement import ACCEPTED, APPROVED, BREAK_GLASS, VERIFIED, WITHDRAWN, Statement
from plugins.plugin_utils.statements import KEY_VARIABLE
from tests.unit.gate.controller_parts import DIGEST, REASON, RELEASE, Ledger, environment, make_keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def ledger(keys: Path) -> Ledger:
    verified = Statement(kind=VERIFIED, by="staging-1", stack="ocr", environment="staging", release=RELEASE,
                         digests={"web": DIGEST}, definition="d" * 64, at=now())  # fmt: skip
    return Ledger([sign(verified, keys / "staging-1")])


def say(keys: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, kind: str, on: str, **asked: Any) -> str:
    """What is shown when it is said."""
    monkeypatch.setenv(KEY_VARIABLE, str(keys / "developer"))
    monkeypatch.setattr(statement_action, "Ledger", lambda _: ledger)
    action = object.__new__(statement_action.ActionModule)
    action.__dict__["environment"] = environment(keys, on)
    action.task_vars = {"inventory_dir": f"/x/inventories/{on}"}
    action._task = SimpleNamespace(check_mode=asked.pop("check", False))
    live = {"digests": {"web": DIGEST}, "definition": "d" * 64}
    given = {
        "kind": kind,
        "stack": "ocr",
        "release": RELEASE,
        "id": "",
        "reason": "",
        "valid_for": None,
        **live,
        **asked,
    }
    shown: list[str] = []
    action._display = SimpleNamespace(display=shown.append)
    monkeypatch.setattr(action, "validate_argument_spec", lambda _: (None, given))
    monkeypatch.setattr(action, "release_digests", lambda *_: {"web": DIGEST})
    shown += action.act()["display"]
    return "\n".join(shown)


@pytest.mark.parametrize(("kind", "on"), [(ACCEPTED, "staging"), (APPROVED, "production")])
def test_what_was_signed_comes_with_the_command_that_takes_it_back(
    keys: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, kind: str, on: str
) -> None:
    shown = say(keys, ledger, monkeypatch, kind, on=on)
    number = ledger.kept[-1].statement.id
    command = f"ansible-playbook playbooks/withdraw.yml -i inventories/{on} --limit {on} -e id={number}"
    assert f'  to take it back: {command} -e \'{{"reason": "…"}}\'' in shown
    say(keys, ledger, monkeypatch, WITHDRAWN, on=on, id=number, reason="the wrong build")
    assert ledger.kept[-1].statement.of == number


def test_what_was_only_rehearsed_cannot_be_taken_back(
    keys: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = say(keys, ledger, monkeypatch, ACCEPTED, on="staging", check=True)
    assert "accepted ocr" in shown
    assert "withdraw" not in shown
    assert len(ledger.kept) == 1


@pytest.mark.parametrize("stack", ["ocr", "www"])
def test_what_an_approved_release_still_lacks_is_told_whatever_glass_was_broken_before(
    keys: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, stack: str
) -> None:
    glass = Statement(kind=BREAK_GLASS, by="developer", stack=stack, environment="production", release=RELEASE,
                      digests={"web": DIGEST}, definition="d" * 64,
                      at="2026-01-01T00:00:00.000Z", why=REASON)  # fmt: skip
    ledger.kept.append(sign(glass, keys / "developer"))
    shown = say(keys, ledger, monkeypatch, APPROVED, on="production")
    assert "before it can go live: nobody has tried and accepted this very release on staging" in shown
    assert "the glass is not broken" not in shown
