"""The gate on the controller: what is collected, asked for, signed, written and sent along."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from plugins.module_utils.gate import pass_gate as pass_on_host
from plugins.module_utils.gateway.host_spool import HostSpool
from plugins.module_utils.gateway.signatures import sign
from plugins.module_utils.model.errors import InvalidInput, OpsError
from plugins.module_utils.model.masking import mask_text
from plugins.module_utils.model.statement import (
    ACCEPTED,
    APPROVED,
    BREAK_GLASS,
    CLOSED,
    REQUESTED,
    VERIFIED,
    WITHDRAWN,
    Signed,
    Statement,
    definition_of,
)
from plugins.module_utils.plan.gate import open_break_glasses
from plugins.module_utils.plan.ledger import tail_of
from plugins.plugin_utils.estate import EstateAction, stack_source
from plugins.plugin_utils.gate import Passed, for_the_host, pass_gate, promoted, proposal, release_to_pass
from plugins.plugin_utils.statements import KEY_VARIABLE, by_id, checked, signatory
from tests.unit.gate.controller_parts import (
    DIGEST,
    REASON,
    RELEASE,
    Action,
    Ledger,
    allowed_signers,
    environment,
    make_keys,
)
from tests.unit.gate.gate_parts import NOW


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_keys(tmp_path_factory.mktemp("keys"), "stranger")


@pytest.fixture(autouse=True)
def _no_key_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def said(keys: Path, kind: str, by: str, **changed: Any) -> Signed:
    from plugins.module_utils.gateway.host_state import now  # noqa: PLC0415 - the present, at each call

    common: dict[str, Any] = {
        "environment": "staging" if kind in (VERIFIED, ACCEPTED) else "production",
        "stack": "ocr",
        "release": RELEASE,
        "digests": {"web": DIGEST},
        "definition": definition_of(stack_source("ocr")),
        "at": now(),
    }
    return sign(Statement(kind=kind, by=by, **{**common, **changed}), keys / by)


def complete(keys: Path) -> Ledger:
    signers = {VERIFIED: "staging-1", ACCEPTED: "developer", APPROVED: "approver"}
    return Ledger([said(keys, kind, by) for kind, by in signers.items()])


def action(keys: Path, **asked: Any) -> Action:
    return Action(environment(keys), keys / "developer", {"stack": "ocr", "release": RELEASE, **asked})


def passed(given: Action, ledger: Ledger) -> Passed:
    return pass_gate(cast(EstateAction, given), given.given(), ledger=ledger)


def test_a_release_that_has_everything_passes_and_is_asked_for_with_a_signature(keys: Path) -> None:
    ledger = complete(keys)
    found = passed(action(keys, reason="Tuesday's release"), ledger)
    asked = ledger.kept[-1].statement
    assert (asked.kind, asked.by, asked.why, asked.details) == (REQUESTED, "developer", "Tuesday's release",
                                                               {"action": "deploy"})  # fmt: skip
    assert [line.split(" at ")[0] for line in found.notes[:4]] == [
        "gate: requested by developer", "gate: verified by staging-1", "gate: accepted by developer",
        "gate: approved by approver",
    ]  # fmt: skip


def test_what_is_sent_along_passes_on_the_host_and_is_all_that_it_needs(keys: Path, tmp_path: Path) -> None:
    ledger = complete(keys)
    ledger.kept += [said(keys, VERIFIED, "staging-1", release="sha-0000000"), said(keys, APPROVED, "approver")]
    given = action(keys)
    found = passed(given, ledger)
    sent = json.loads(json.dumps({**given.given(), **found.arguments}))
    assert len(sent["gate"]["statements"]) == 4
    (tmp_path / "allowed_signers").write_text(allowed_signers(keys))
    (tmp_path / "revoked_keys").write_text("")
    policy = {"environment": "production", "gate": {"required": True, "verified_in": "staging"}}
    (tmp_path / "gate.json").write_text(json.dumps(policy))
    pass_on_host(sent, RELEASE, tmp_path, tmp_path)
    assert [one.statement.kind for one in HostSpool(tmp_path).waiting().statements] == [REQUESTED]
    assert sent["gate"]["ledger"] == tail_of(ledger.hashes()), "with the request in it"
    assert len(sent["gate"]["ledger"]["hashes"]) == len(ledger.kept) == 6


def test_everything_that_is_missing_is_told_with_the_command_for_it_and_nothing_is_written(keys: Path) -> None:
    ledger = Ledger()
    with pytest.raises(InvalidInput) as caught:
        passed(action(keys), ledger)
    commands = [error.do for error in caught.value.errors]
    assert commands == [
        f"ansible-playbook playbooks/deploy.yml --limit staging -e stack=ocr -e release={RELEASE}",
        "ansible-playbook playbooks/accept.yml --limit staging -e stack=ocr",
        f"ansible-playbook playbooks/approve.yml --limit production -e stack=ocr -e release={RELEASE}",
    ]
    assert ledger.kept == []


def test_real_environments_are_named_with_their_inventories(keys: Path) -> None:
    given = action(keys)
    given.task_vars = {"inventory_dir": "/somewhere/inventories/production"}
    with pytest.raises(InvalidInput) as caught:
        passed(given, Ledger())
    assert "accept.yml -i inventories/staging --limit staging -e" in caught.value.errors[1].do
    assert "approve.yml -i inventories/production --limit production -e" in caught.value.errors[2].do


def test_a_withdrawn_approval_does_not_pass(keys: Path) -> None:
    ledger = complete(keys)
    back = said(keys, WITHDRAWN, "approver", of=ledger.kept[-1].statement.id, why="wrong totals")
    ledger.kept.append(back)
    with pytest.raises(InvalidInput, match="approver took it back: wrong totals"):
        passed(action(keys), ledger)


def test_what_is_no_statement_in_the_ledger_is_passed_over(keys: Path) -> None:
    ledger = complete(keys)
    ledger.kept.insert(0, Signed('{"stack":"ocr"}', ledger.kept[0].signature))
    passed(action(keys), ledger)


def test_forged_entries_of_the_ledger_do_not_pass(keys: Path) -> None:
    ledger = complete(keys)
    ledger.kept[-1] = Signed(ledger.kept[-1].text, ledger.kept[0].signature)
    with pytest.raises(InvalidInput, match="it is forged or damaged"):
        passed(action(keys), ledger)


def test_a_rehearsal_judges_and_neither_signs_nor_writes(keys: Path, tmp_path: Path) -> None:
    ledger = complete(keys)
    given = action(keys)
    given.rehearsal = True
    # The public half is enough to know who asks.
    (tmp_path / "me.pub").write_text((keys / "developer.pub").read_text())
    given.key = tmp_path / "me.pub"
    found = passed(given, ledger)
    assert found.arguments == {"gate": {"required": True}}
    assert len(ledger.kept) == 3


def test_an_environment_without_a_gate_asks_nobody(keys: Path) -> None:
    free = Action(environment(keys, "staging"), None, {"stack": "ocr", "release": RELEASE})
    found = passed(free, Ledger(away=True))
    assert found.arguments["gate"]["required"] is False
    assert "statements" not in found.arguments["gate"]
    free.arguments["break_glass"] = "True"
    with pytest.raises(OpsError, match="staging has no gate"):
        passed(free, Ledger())


# -- broken glass ------------------------------------------------------------------------------------------------------


def test_broken_glass_is_written_before_anything_happens(keys: Path) -> None:
    ledger = Ledger()
    found = passed(action(keys, break_glass=True, reason=REASON), ledger)
    (glass,) = (one.statement for one in ledger.kept)
    assert (glass.kind, glass.why) == (BREAK_GLASS, REASON)
    assert REASON in found.notes[1]


def test_glass_is_not_broken_without_a_reason_of_substance(keys: Path) -> None:
    with pytest.raises(InvalidInput, match="says too little") as caught:
        passed(action(keys, break_glass="true", reason="urgent"), Ledger())
    assert len(caught.value.errors) == 1


def test_with_the_ledger_away_ordinary_releases_wait_and_broken_glass_is_kept_by_the_host(
    keys: Path, tmp_path: Path
) -> None:
    with pytest.raises(OpsError, match=r"waits for the ledger: the storage does not answer.*roll_back\.yml works"):
        passed(action(keys), Ledger(away=True))
    given = action(keys, break_glass=True, reason=REASON)
    found = passed(given, Ledger(away=True))
    assert "the ledger cannot be used" in found.notes[-1]
    (tmp_path / "allowed_signers").write_text(allowed_signers(keys))
    (tmp_path / "revoked_keys").write_text("")
    policy = {"environment": "production", "gate": {"required": True, "verified_in": "staging"}}
    (tmp_path / "gate.json").write_text(json.dumps(policy))
    pass_on_host(json.loads(json.dumps({**given.given(), **found.arguments})), RELEASE, tmp_path, tmp_path)
    (kept,) = HostSpool(tmp_path).waiting().statements
    assert kept.statement.why == REASON


def test_open_glass_of_another_stack_is_told_until_it_is_closed(keys: Path) -> None:
    ledger = complete(keys)
    glass = said(keys, BREAK_GLASS, "developer", stack="www", release="sha-0000000", why=REASON)
    ledger.kept.append(glass)
    assert any("stays open" in note and "for www" in note for note in passed(action(keys), ledger).notes)
    ledger.kept.append(said(keys, CLOSED, "approver", stack="www", release="sha-0000000", of=glass.statement.id))
    assert not any("stays open" in note for note in passed(action(keys), ledger).notes)


# -- windows -----------------------------------------------------------------------------------------------------------

ALWAYS = [
    {"name": "freeze", "time_zone": "UTC", "refused": [{"month_days": list(range(1, 32)), "why": "moving house"}]}
]


def test_a_refused_time_wants_a_reason_that_is_signed(keys: Path) -> None:
    given = action(keys)
    given.environment = environment(keys, windows=ALWAYS)
    ledger = complete(keys)
    with pytest.raises(InvalidInput, match="freeze: moving house"):
        passed(given, ledger)
    given.arguments["window_reason"] = REASON
    passed(given, ledger)
    assert ledger.kept[-1].statement.details["window"] == REASON


# -- who signs ---------------------------------------------------------------------------------------------------------


def test_without_a_key_both_ways_to_name_one_are_told(keys: Path) -> None:
    given = action(keys)
    given.key = None
    with pytest.raises(OpsError, match=r"SEISEI_SIGNING_KEY.*ops_signing_key") as caught:
        passed(given, complete(keys))
    assert mask_text(str(caught.value)) == str(caught.value), "a path of a key is no secret to be hidden"


def test_the_environment_variable_goes_before_the_setting(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, str(keys / "approver"))
    assert signatory(cast(EstateAction, action(keys)), APPROVED).name == "approver"


def test_a_strangers_key_and_one_that_may_not_are_refused(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, str(keys / "stranger"))
    with pytest.raises(OpsError, match=r"nobody in production has this key .SHA256:"):
        signatory(cast(EstateAction, action(keys)), REQUESTED)
    monkeypatch.setenv(KEY_VARIABLE, str(keys / "approver"))
    with pytest.raises(OpsError, match="approver may not sign 'requested' in production; who may: developer"):
        signatory(cast(EstateAction, action(keys)), REQUESTED)


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_a_release_is_proposed_where_staging_leads_to(keys: Path) -> None:
    given = Action(environment(keys, "staging"), keys / "developer", {"stack": "ocr", "release": RELEASE})
    found = passed(given, Ledger())
    ledger = Ledger()
    lines = proposal(cast(EstateAction, given), found.subject, ledger=ledger)
    (proposed,) = (one.statement for one in ledger.kept)
    assert (proposed.environment, proposed.details) == ("production", {"proposed": True})
    assert lines[-1].endswith(f"deploy.yml --limit production -e stack=ocr -e release={RELEASE}")
    # It is no request to go live.
    full = complete(keys)
    full.kept += ledger.kept
    passed(action(keys), full)
    assert full.kept[-1].statement.id != proposed.id


def test_a_proposal_that_cannot_be_made_does_not_fail_the_release(keys: Path) -> None:
    given = Action(environment(keys, "production"), keys / "developer", {"auto_promote": True})
    found = Passed(passed(action(keys), complete(keys)).subject, {})
    result = promoted(cast(EstateAction, given), found, {"changed": True, "display": ["live"]})
    assert result["display"][0] == "live"
    assert "was not proposed: -e auto_promote: production leads to no other environment" in result["display"][1]
    assert promoted(cast(EstateAction, given), found, {"failed": True}) == {"failed": True}
    assert promoted(cast(EstateAction, given), None, {"changed": True}) == {"changed": True}


def test_what_is_said_to_the_gate_alone_does_not_go_to_the_host() -> None:
    asked = {"stack": "ocr", "break_glass": True, "window_reason": "x", "auto_promote": False, "again": True}
    assert for_the_host(asked) == {"stack": "ocr", "again": True}


def test_a_statement_is_found_by_how_its_id_begins(keys: Path) -> None:
    ledger = complete(keys)
    known = checked(ledger.signed(), environment(keys).gate, NOW.replace(year=2100), lambda _: True)
    wanted = ledger.kept[0].statement
    assert by_id(known, wanted.id[:8]).id == wanted.id
    for nothing in ("", wanted.id[:3], "zzzzzzzz"):
        with pytest.raises(OpsError, match=r"0 statements have an id.*tell_ledger\.yml"):
            by_id(known, nothing)


def test_broken_glass_stays_open_whatever_it_says_and_whatever_becomes_of_its_key(keys: Path) -> None:
    details = {"x": {"kind": "happened"}}
    glass = said(keys, BREAK_GLASS, "developer", why=REASON, details=details)
    later = datetime.now(UTC) + timedelta(days=40)
    known = environment(keys).gate
    ended = allowed_signers(keys).replace('" ssh', f'",valid-before="{later - timedelta(days=1):%Y%m%d}Z" ssh')
    revoked = (keys / "developer.pub").read_text()
    for gate in (known, environment(keys, allowed_signers=ended).gate, environment(keys, revoked_keys=revoked).gate):
        found = checked([glass], gate, later, lambda _: True)
        assert [one.id for one in open_break_glasses(found)] == [glass.statement.id]
        assert by_id(found, glass.statement.id).id == glass.statement.id
        closed = said(keys, CLOSED, "approver", of=glass.statement.id)
        assert open_break_glasses(checked([glass, closed], gate, later, lambda _: True)) == []


# -- what is asked when ------------------------------------------------------------------------------------------------


def gone_through(given: Action, ledger: Ledger, **more: Any) -> Passed:
    return release_to_pass(cast(EstateAction, given), ledger=ledger, **more)


def test_where_nobody_may_sign_that_is_said_before_anything_is_asked(keys: Path) -> None:
    given = action(keys)
    given.environment, given.key = environment(keys, allowed_signers="# nobody yet\n"), None
    with pytest.raises(InvalidInput, match=r"names no key.*inventories/production/allowed_signers"):
        gone_through(given, Ledger())
    assert given.asked == []


def test_secrets_are_asked_for_only_when_the_release_may_go_live(keys: Path) -> None:
    given = action(keys)
    with pytest.raises(InvalidInput, match="nobody has tried and accepted"):
        gone_through(given, Ledger())
    assert given.asked == ["registry"]
    found = gone_through(given, complete(keys))
    assert given.asked == ["registry", "registry", "secrets"]
    assert found.arguments.keys() == {"entry", "environment_name", "gate", "secrets", "registry_auth"}


def test_nothing_is_signed_when_a_secret_is_missing(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: Action, name: str) -> dict[str, Any]:
        raise OpsError(f"a secret of {name} is missing")

    monkeypatch.setattr(Action, "secret_arguments", missing)
    ledger = Ledger()
    with pytest.raises(OpsError, match="a secret of ocr is missing"):
        gone_through(action(keys, break_glass=True, reason=REASON), ledger)
    assert ledger.kept == []


def test_who_only_asks_needs_no_secrets_and_a_rehearsal_does(keys: Path) -> None:
    given = action(keys)
    assert "secrets" not in gone_through(given, complete(keys), only_asking=True).arguments
    assert given.asked == ["registry"]
    given.rehearsal = True
    assert "secrets" in gone_through(given, complete(keys)).arguments
    free = Action(environment(keys, "staging"), None, {"stack": "ocr", "release": RELEASE})
    assert "secrets" in gone_through(free, Ledger(away=True)).arguments
