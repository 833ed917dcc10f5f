"""What waits for somebody to say something, as the action behind status tells it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plugins.action import statement_info
from plugins.module_utils.gateway.host_state import now
from plugins.module_utils.gateway.signatures import sign
from plugins.module_utils.model.statement import APPROVED, BREAK_GLASS, CLOSED, Signed, Statement
from tests.unit.gate.controller_parts import REASON, Ledger, environment, make_keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys"))


def said(keys: Path, kind: str, by: str, stack: str, **more: Any) -> Signed:
    statement = Statement(kind=kind, by=by, stack=stack, environment="production", release="sha-724f892",
                          digests={}, definition="d" * 64, at=now(), why=REASON, **more)  # fmt: skip
    return sign(statement, keys / by)


class Told:
    """The answer, and what went to standard error."""

    def __init__(self, keys: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, **asked: Any) -> None:
        self.warnings: list[str] = []
        action = object.__new__(statement_info.ActionModule)
        action.__dict__["environment"] = environment(keys)
        action.task_vars = {"inventory_dir": "/x/inventories/lab"}
        action._display = SimpleNamespace(warning=self.warnings.append)
        asked = {"stack": "", "waiting_of": "", "quiet": False, **asked}
        monkeypatch.setattr(action, "validate_argument_spec", lambda _: (None, asked))
        monkeypatch.setattr(statement_info, "Ledger", lambda _: ledger)
        self.answer = action.act()
        self.shown = "\n".join(self.answer["display"])


def test_broken_glass_is_told_whichever_stack_is_asked_for(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger([said(keys, BREAK_GLASS, "developer", "ocr"), said(keys, APPROVED, "approver", "ocr")])
    found = Told(keys, ledger, monkeypatch, stack="www")
    assert [row["open"] for row in found.answer["rows"]] == [BREAK_GLASS]
    assert "developer broke the glass for ocr" in found.shown
    assert found.warnings == []


def test_for_a_program_broken_glass_is_a_row_and_a_warning(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger([said(keys, BREAK_GLASS, "developer", "ocr"), said(keys, APPROVED, "approver", "ocr")])
    found = Told(keys, ledger, monkeypatch, quiet=True)
    assert [row["open"] for row in found.answer["rows"]] == [BREAK_GLASS, APPROVED]
    assert found.shown == ""
    (warning,) = found.warnings
    assert "developer broke the glass for ocr sha-724f892 in production" in warning


def test_closed_glass_is_not_told_any_more(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    glass = said(keys, BREAK_GLASS, "developer", "ocr")
    ledger = Ledger([glass, said(keys, CLOSED, "approver", "ocr", of=glass.statement.id)])
    found = Told(keys, ledger, monkeypatch, quiet=True)
    assert (found.answer["rows"], found.warnings) == ([], [])


def test_that_nothing_can_be_told_is_told_to_a_program_too(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Told(keys, Ledger(away=True), monkeypatch, quiet=True)
    assert found.shown == ""
    assert found.warnings[0].startswith("What is open cannot be told")
    assert "s3://ledger: the storage does not answer" in found.warnings[0]
