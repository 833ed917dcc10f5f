"""The gate: what lets a release through, and what is said when it does not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from plugins.module_utils.model.gate import Checked, Subject, Substance
from plugins.module_utils.model.release_window import Rule, WindowPolicy
from plugins.module_utils.model.statement import (
    ACCEPTED,
    APPROVED,
    BREAK_GLASS,
    CLOSED,
    REQUESTED,
    VERIFIED,
    WITHDRAWN,
)
from plugins.module_utils.plan.gate import expiry, judge, lacks_substance, open_break_glasses, told_open
from tests.unit.gate.gate_parts import (  # fmt: skip
    COMPLETE,
    DIGEST,
    GATE,
    NOW,
    OTHER_DIGEST,
    REASON,
    SUBJECT,
    at,
    checked,
    decided,
    said,
)

FRIDAY = (WindowPolicy("calendar", "Asia/Tokyo", refused=(Rule(days=(1,), why="today nobody is there"),)),)


def test_verified_accepted_approved_and_asked_for_is_let_through() -> None:
    decision = decided(checked())
    assert decision.allowed
    assert {one.kind for one in decision.relied_on} == set(COMPLETE)


def test_an_environment_without_a_gate_asks_nothing() -> None:
    assert decided([], required=False).allowed


@pytest.mark.parametrize(
    ("kind", "what", "playbook", "environment"),
    [
        (VERIFIED, "no host of staging has verified this very release (by: staging-1)", "deploy", "staging"),
        (ACCEPTED, "nobody has tried and accepted this very release on staging", "accept", "staging"),
        (APPROVED, "nobody but the requester has approved this very release for production (by: approver)", "approve",
         "production"),
        (REQUESTED, "developer has not asked for it with a signature of the last 15 minutes", "deploy", "production"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_what_supplies_it(kind: str, what: str, playbook: str, environment: str) -> None:
    (missing,) = decided(checked({k: v for k, v in COMPLETE.items() if k != kind})).missing
    assert what in missing.what
    assert (missing.playbook, missing.environment) == (playbook, environment)
    assert missing.inputs["stack"] == "ocr"


def test_everything_that_is_missing_is_told_at_once() -> None:
    assert len(decided([], windows=FRIDAY).missing) == 5


CHANGED: list[tuple[str, dict[str, Any], str]] = [
    (VERIFIED, {"digests": {"web": OTHER_DIGEST}}, f"it is for web at {OTHER_DIGEST[:19]}, not {DIGEST[:19]}"),
    (APPROVED, {"digests": {"web": OTHER_DIGEST}}, f"it is for web at {OTHER_DIGEST[:19]}, not {DIGEST[:19]}"),
    (APPROVED, {"digests": {"web": DIGEST, "worker": DIGEST}}, "it is for worker at"),
    (APPROVED, {"digests": {}}, "it is for web at no digest"),
    (APPROVED, {"stack": "www"}, "it is for stack www, not ocr"),
    (ACCEPTED, {"release": "sha-19b9b98"}, "it is for sha-19b9b98, not sha-724f892"),
    (APPROVED, {"definition": "e" * 64}, "the stack file is another: it is for eeeeeeeeeeee, not dddddddddddd"),
    (APPROVED, {"environment": "staging"}, "it is for staging, not production"),
    (VERIFIED, {"environment": "production"}, "it is for production, not staging"),
    (APPROVED, {"expires": at(seconds=1)}, "it expired at"),
    (APPROVED, {"at": at(days=7, seconds=1)}, "it expired at"),
    (APPROVED, {"at": at(days=8), "expires": at(days=-30)}, "it expired at"),
    (APPROVED, {"expires": "tomorrow"}, "it expired at tomorrow"),
    (APPROVED, {"at": at(minutes=-3)}, "which is not yet"),
    (APPROVED, {"at": "2026-12-08T06:00:00"}, "which is not yet"),
    (APPROVED, {"by": "developer"}, "developer asks for the release, and somebody else has to approve it"),
    (REQUESTED, {"at": at(minutes=16)}, "a request holds 15 minutes"),
    (REQUESTED, {"by": "approver"}, "approver asks, and this run is developer's"),
    (REQUESTED, {"details": {"proposed": True}}, "it proposes the release"),
]


@pytest.mark.parametrize(("kind", "change", "why"), CHANGED)
def test_what_nearly_counts_does_not_and_is_told_why(kind: str, change: dict[str, Any], why: str) -> None:
    decision = decided(checked({**COMPLETE, kind: said(kind, **change)}))
    (missing,) = decision.missing
    assert why in missing.because[0]
    assert missing.because[0].startswith(f"{kind} {kind[:8]} by ")


@pytest.mark.parametrize("kind", COMPLETE)
def test_a_signature_that_is_not_good_counts_for_nothing(kind: str) -> None:
    found = [Checked(one, "it is forged" if one.kind == kind else "") for one in COMPLETE.values()]
    (missing,) = decided(found).missing
    assert "it is forged" in missing.because[0]


@pytest.mark.parametrize("kind", [VERIFIED, ACCEPTED, APPROVED])
def test_what_its_signer_took_back_counts_no_more(kind: str) -> None:
    back = said(WITHDRAWN, of=kind, by="approver", why="the wrong build")
    (missing,) = decided(checked(None, back)).missing
    assert "approver took it back: the wrong build" in missing.because[0]
    forged = [*checked(), Checked(back, "it is forged")]
    assert decided(forged).allowed


def test_the_requester_may_be_the_one_who_accepted_but_not_the_one_who_approved() -> None:
    assert decided(checked({**COMPLETE, ACCEPTED: said(ACCEPTED, by="developer")})).allowed
    both = checked({**COMPLETE, APPROVED: said(APPROVED, by="developer")}, said(APPROVED, id="other"))
    assert decided(both).allowed


def test_an_approval_may_come_before_the_verification() -> None:
    early = {**COMPLETE, APPROVED: said(APPROVED, at=at(days=6)), VERIFIED: said(VERIFIED, at=at(minutes=2))}
    assert decided(checked(early)).allowed


def test_an_approval_is_good_until_it_ends() -> None:
    found = checked({**COMPLETE, APPROVED: said(APPROVED, expires=at(seconds=-1))})
    assert decided(found).allowed
    assert not decided(found, now=NOW + timedelta(seconds=1)).allowed


def test_an_environment_whose_signers_nobody_named_says_so_and_nothing_else() -> None:
    (missing,) = decided(checked(), signers=()).missing
    assert "nobody may release to production yet" in missing.what
    assert "inventories/production/allowed_signers" in missing.do


# -- broken glass ------------------------------------------------------------------------------------------------------


def test_broken_glass_replaces_everything_and_the_window_too() -> None:
    decision = decided([Checked(said(BREAK_GLASS))], windows=FRIDAY)
    assert decision.allowed
    assert REASON in decision.notes[0]


@pytest.mark.parametrize(
    "change",
    [
        {"why": "urgent"},
        {"why": "fix fix fix fix fix fix fix fix fix fix fix fix"},
        {"at": at(minutes=16)},
        {"by": "approver"},
        {"digests": {"web": OTHER_DIGEST}},
        {"environment": "staging"},
        {"stack": "www"},
    ],
)
def test_glass_is_broken_for_one_release_by_who_asks_now_and_with_a_reason(change: dict[str, Any]) -> None:
    assert not decided([Checked(said(BREAK_GLASS, **change))]).allowed


def test_broken_glass_stays_open_until_somebody_else_closes_it() -> None:
    glass = said(BREAK_GLASS)
    assert open_break_glasses(checked({}, glass)) == [glass]
    assert open_break_glasses(checked({}, glass, said(CLOSED, of=glass.id, by="developer"))) == [glass]
    assert open_break_glasses(checked({}, glass, said(CLOSED, of="another"))) == [glass]
    assert open_break_glasses([Checked(glass), Checked(said(CLOSED, of=glass.id), "it is forged")]) == [glass]
    assert open_break_glasses(checked({}, glass, said(CLOSED, of=glass.id))) == []
    assert any("developer broke the glass for ocr" in note for note in decided(checked(None, glass)).notes) is False
    old = said(BREAK_GLASS, at=at(days=3))
    assert any("developer broke the glass for ocr" in note for note in decided(checked(None, old)).notes)


def test_who_breaks_the_glass_is_told_of_what_is_open_already() -> None:
    glass, before = said(BREAK_GLASS), said(BREAK_GLASS, id="before", at=at(days=3), stack="www")
    notes = decided(checked({}, glass, before)).notes
    assert [note.split(":")[0] for note in notes] == ["the glass is broken by developer", "it stays open"]
    assert "for www" in notes[1]


@pytest.mark.parametrize(
    ("why", "enough"),
    [
        (REASON, True),
        ("", False),
        ("x" * 100, False),
        ("a b c d e", False),
        ("please please please please please please please", False),
        ("本番環境の請求書が正午から送信できないため、修正版をすぐに公開する必要があります", True),
        ("ああああああああああああああああああああああああああああああああああああ", False),
    ],
)
def test_a_reason_of_substance(why: str, enough: bool) -> None:
    assert (lacks_substance(why, Substance()) == "") is enough


# -- windows -----------------------------------------------------------------------------------------------------------


def test_a_refused_time_asks_for_a_reason_and_names_the_next_slot() -> None:
    (missing,) = decided(checked(), windows=FRIDAY).missing
    assert "calendar: today nobody is there" in missing.what
    assert "next allowed: from Wed 2026-12-09 00:00" in missing.what or "Wed 2026-12-09 00:00" in missing.what
    assert "window_reason" in missing.do


def test_a_reason_of_substance_opens_the_window_and_another_does_not() -> None:
    asked = said(REQUESTED, details={"action": "deploy", "window": REASON})
    assert decided(checked({**COMPLETE, REQUESTED: asked}), windows=FRIDAY).allowed
    short = said(REQUESTED, details={"action": "deploy", "window": "urgent"})
    (missing,) = decided(checked({**COMPLETE, REQUESTED: short}), windows=FRIDAY).missing
    assert "6 characters" in missing.because[0]


def test_a_release_of_another_name_with_the_same_digest_is_another_release() -> None:
    other = Subject("ocr", "sha-0000000", SUBJECT.digests, SUBJECT.definition)
    assert len(judge(other, "production", checked(), "developer", NOW, GATE).missing) == 4


@pytest.mark.parametrize("when", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "soon"])
def test_an_approval_of_an_impossible_time_is_none(when: str) -> None:
    assert expiry(said(APPROVED, at=when), GATE) is None
    assert not decided(checked({**COMPLETE, APPROVED: said(APPROVED, at=when)})).allowed


def test_glass_of_a_revoked_key_stays_open_and_says_so() -> None:
    glass = Checked(said(BREAK_GLASS), "the key of developer is revoked", revoked=True)
    (found,) = open_break_glasses([glass])
    assert (found.id, found.why) == (glass.statement.id, f"signed with a key that is revoked: {REASON}")
    assert open_break_glasses([glass, Checked(said(CLOSED, of=glass.statement.id))]) == []
    gone = Checked(said(CLOSED, of=glass.statement.id), "the key of approver is revoked", revoked=True)
    assert open_break_glasses([glass, gone]) == [found]
    assert not decided([glass]).allowed


def test_what_a_terminal_would_obey_is_not_shown() -> None:
    told = told_open(said(BREAK_GLASS, why="nothing\x1b[2K\x9b1A\u202e works\r\nand more"))
    assert told.endswith("(nothing\ufffd[2K\ufffd1A\ufffd works and more)")


@pytest.mark.parametrize("kind", [REQUESTED, BREAK_GLASS])
@pytest.mark.parametrize("details", [{}, {"action": "migrate"}, {"action": ["deploy"]}, {"action": None}])
def test_a_request_for_something_else_is_none(kind: str, details: dict[str, Any]) -> None:
    decision = decided(checked({**COMPLETE, REQUESTED: said(kind, details=details)}))
    assert [one.kind for one in decision.missing] == [kind]
    assert "not to deploy" in decision.missing[0].because[0]
