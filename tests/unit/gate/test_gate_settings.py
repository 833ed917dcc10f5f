"""ops_environment.gate: who may sign what, and what is refused of an allowed_signers file."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.model.document import Node
from plugins.module_utils.model.environment import parse_environment
from plugins.module_utils.model.errors import InvalidInput
from plugins.module_utils.model.gate import Gate, instant
from plugins.module_utils.model.release_window import LAST, Rule
from plugins.module_utils.model.signers import fingerprint, revoked_fingerprints
from plugins.module_utils.model.statement import APPROVED, VERIFIED
from tests.unit.core.core_parts import told

# Public keys made for this test and thrown away.
BLOB = "AAAAC3NzaC1lZDI1NTE5AAAAIGGEy2iQTk8wNRtQKb4TRRTdZl2kgDHHAEDKLbqsqTvY"
OTHER = "AAAAC3NzaC1lZDI1NTE5AAAAIB0mnzxWUCxgDpUDyLNiM6stEVmeMGMZRrfVuNcPtgl0"
KEY, OTHER_KEY = f"ssh-ed25519 {BLOB} laptop", f"ssh-ed25519 {OTHER}"
APPROVES = 'namespaces="approved@seisei-ops"'


def parsed(**gate: Any) -> Gate:
    found = parse_environment(Node({"name": "production", "registry": {}, "gate": gate}, "ops_environment"))
    return found.gate


def faults(**gate: Any) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        parsed(**gate)
    return told(caught.value)


def test_an_environment_that_says_nothing_has_no_gate() -> None:
    assert parse_environment(Node({"name": "staging", "registry": {}}, "ops_environment")).gate == Gate()


def test_everything_that_can_be_said() -> None:
    gate = parsed(
        required=True,
        allowed_signers=f'# people\n\njosh@seisei.tokyo {APPROVES},valid-before="20270101Z" {KEY}\n'
        f'staging-1 namespaces="verified@seisei-ops,happened@seisei-ops" {OTHER_KEY}\n',
        revoked_keys=f"# lost\n{OTHER_KEY}\n",
        verified_in="staging",
        valid_for="24h",
        least_reason={"characters": 10, "words": 3},
        windows=[
            {
                "name": "calendar",
                "time_zone": "Asia/Tokyo",
                "stacks": ["ocr"],
                "recommended": [{"days": ["tue", "wed"], "from": "15:00", "to": "17:00"}],
                "refused": [{"month_days": ["first", 15, "last"], "why": "books"}, {"from": "18:00", "why": "dinner"}],
            }
        ],
    )
    assert gate.who_may(APPROVED) == ("josh@seisei.tokyo",)
    assert gate.who_may(VERIFIED) == ("staging-1",)
    assert revoked_fingerprints(gate.revoked_keys) == {fingerprint(OTHER)}
    assert (gate.valid_for, gate.least_reason.words) == (86400, 3)
    (policy,) = gate.windows
    assert policy.recommended == (Rule((1, 2), (), 900, 1020),)
    assert policy.refused == (Rule((), (1, 15, LAST), why="books"), Rule(start=1080, end=1440, why="dinner"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"josh {KEY}", "line 1 is not one name, its options and its key"),
        ("josh", "line 1 is not one name, its options and its key"),
        (f"* {APPROVES} {KEY}", "line 1 is not one name"),
        (f"josh,mei {APPROVES} {KEY}", "line 1 is not one name"),
        (f"*@seisei.tokyo cert-authority,{APPROVES} {KEY}", "line 1 is not one name"),
        (f"josh cert-authority,{APPROVES} {KEY}", "its options are not understood"),
        (f'josh valid-after="20260101Z" {KEY}', "it does not say what the key may sign"),
        (f'josh namespaces="*" {KEY}', "'*' is nothing to sign"),
        (f'josh namespaces="approved" {KEY}', "'approved' is nothing to sign"),
        (f'josh {APPROVES},namespaces="verified@seisei-ops" {KEY}', "its options are not understood"),
        (f'josh {APPROVES},valid-before="20270101" {KEY}', "valid-before is '20270101'"),
        (f"josh {APPROVES} ssh-ed25519 AAAA!", "line 1 is not one name"),
        (f"josh {APPROVES} ssh-ed25519 {BLOB[:-1]}", "the key of josh is not whole"),
        (f"josh {APPROVES} {KEY}\nmei {APPROVES} {KEY}", "line 2: mei has the key of josh"),
        (f"# x\njosh\t{APPROVES} {KEY}", "line 2 is not one name"),
    ],
)
def test_a_line_that_could_mean_more_than_one_person_or_anything_is_refused(text: str, says: str) -> None:
    (fault,) = faults(allowed_signers=text)
    assert says in fault
    assert "gate.allowed_signers" in fault


def test_a_person_may_have_two_keys() -> None:
    assert len(parsed(allowed_signers=f"josh {APPROVES} {KEY}\njosh {APPROVES} {OTHER_KEY}").signers) == 2


@pytest.mark.parametrize(
    ("gate", "says"),
    [
        ({"required": True}, "gate: 'verified_in' is missing"),
        ({"required": "yes"}, "gate.required: expected true or false"),
        ({"verified_in": "Staging"}, "'Staging' is not an environment's name"),
        ({"valid_for": "a week"}, "'a week' is not a duration"),
        ({"valid_for": 0}, "no approval would ever be valid"),
        ({"least_reason": {"characters": 0}}, "gate.least_reason.characters: 0 is outside 1.."),
        ({"least_reason": {"word": 1}}, "did you mean 'words'?"),
        ({"revoked_keys": f"josh {KEY}"}, "line 1 is not a public key"),
        ({"approvers": []}, "'approvers' is not accepted here"),
        ({"windows": {"name": "x"}}, "gate.windows: expected a list"),
    ],
)
def test_what_is_wrong_with_a_gate_is_told_with_its_place(gate: dict[str, Any], says: str) -> None:
    assert any(says in fault for fault in faults(**gate)), faults(**gate)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ({"days": ["friday"], "why": "x"}, "'friday' is not one of mon"),
        ({"month_days": [0], "why": "x"}, "0 is outside 1..31"),
        ({"month_days": ["frist"], "why": "x"}, "expected a whole number"),
        ({"from": "25:00", "why": "x"}, "'25:00' is not a time of day"),
        ({"from": "24:30", "why": "x"}, "'24:30' is not a time of day"),
        ({"from": 900, "why": "x"}, "'900' is not a time of day"),
        ({"from": "22:00", "to": "06:00", "why": "x"}, "it ends before it begins"),
        ({"days": ["fri"]}, "'why' is missing"),
        ({"why": "x"}, "it says nothing, which is always"),
        ({"day": "fri", "why": "x"}, "did you mean 'days'?"),
    ],
)
def test_what_is_wrong_with_a_window_is_told_with_its_place(rule: dict[str, Any], says: str) -> None:
    found = faults(windows=[{"name": "calendar", "time_zone": "Asia/Tokyo", "refused": [rule]}])
    assert any(says in fault and "gate.windows[0].refused[0]" in fault for fault in found), found


def test_a_policy_has_a_name_and_a_clock() -> None:
    found = "\n".join(faults(windows=[{"time_zone": "Asia/Tokio"}, {"name": "x"}]))
    assert "gate.windows[0]: 'name' is missing" in found
    assert "'Asia/Tokio' is not a time zone known here" in found
    assert "gate.windows[1]: 'time_zone' is missing" in found


def test_a_time_without_its_zone_is_no_time() -> None:
    assert instant("2026-12-08T06:00:00.000Z") is not None
    assert instant("2026-12-08T06:00:00") is None
    assert instant("soon") is None
