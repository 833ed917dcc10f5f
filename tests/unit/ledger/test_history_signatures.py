"""Whose signature counts in history: by the signers of an environment, at the time when it was signed."""

from __future__ import annotations

from pathlib import Path

from plugins.action.ledger_history import _faults
from plugins.module_utils.gateway.signatures import sign
from plugins.module_utils.model.statement import ACCEPTED, APPROVED, Signed
from tests.unit.gate.controller_parts import environment, make_keys
from tests.unit.ledger.ledger_parts import statement


def test_each_is_looked_at_by_the_signers_of_the_environment_that_is_asked(tmp_path: Path) -> None:
    keys = make_keys(tmp_path, "stranger")
    good = statement(1, APPROVED, by="approver")
    elsewhere = statement(2, ACCEPTED, by="developer", environment="staging")
    forged, forbidden = statement(3, APPROVED, by="approver"), statement(4, ACCEPTED, by="approver")
    signed = [sign(one, keys / one.by) for one in (good, elsewhere, forbidden)]
    signed += [Signed(forged.text(), sign(forged, keys / "stranger").signature), Signed(good.text(), "slipped in")]
    faults = _faults(signed, {"production": environment(keys).gate})
    asked = [(forged, "production"), (good, "production"), (elsewhere, "production"), (elsewhere, "staging"),
             (forbidden, "production")]  # fmt: skip
    found = faults(asked)
    assert "no signer of this environment has the key" in found[0]
    assert found[1:3] == ["", ""]
    assert found[3] == "its environment is not in this run"
    assert "may not sign 'accepted'" in found[4]
    assert faults([]) == []
