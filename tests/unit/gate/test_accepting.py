"""What a word on a release is held against before it is signed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plugins.module_utils.model.gate import Checked
from plugins.module_utils.model.statement import ACCEPTED, VERIFIED, WITHDRAWN
from plugins.module_utils.plan.accepting import differs_from_accepted, lacks_verification
from tests.unit.gate.gate_parts import NOW, OTHER_DIGEST, SUBJECT, at, said


def lack(*known: Checked, **changed: Any) -> str:
    return lacks_verification(known, replace(SUBJECT, **changed), "staging", NOW)


VERIFICATION = Checked(said(VERIFIED))


def test_what_runs_and_was_verified_may_be_accepted() -> None:
    assert lack(VERIFICATION) == ""


def test_what_was_verified_but_does_not_run_is_not_accepted() -> None:
    # A developer's key that staging trusts vouched for another image, later: it is not what was tried.
    newer = Checked(said(VERIFIED, digests={"web": OTHER_DIGEST}, at=at(seconds=1), id="newer"))
    assert lack(VERIFICATION, newer) == ""
    assert "is not what a host verified: it is for web at sha256:bbbb" in lack(newer)
    assert "the stack file is another" in lack(VERIFICATION, definition="e" * 64)
    assert "no digest" in lack(VERIFICATION, digests={})


@pytest.mark.parametrize(
    "one",
    [
        replace(VERIFICATION, fault="it is forged"),
        Checked(said(VERIFIED, environment="production")),
        Checked(said(VERIFIED, release="sha-0000000")),
        Checked(said(ACCEPTED)),
    ],
)
def test_what_is_no_verification_of_it(one: Checked) -> None:
    assert lack(one) == "no host of staging has verified sha-724f892 of ocr"


def test_a_verification_that_was_taken_back_or_is_of_tomorrow_is_none() -> None:
    assert "no host of staging" in lack(VERIFICATION, Checked(said(WITHDRAWN, of=VERIFIED)))
    assert "which is not yet" in lack(Checked(said(VERIFIED, at=at(minutes=-3))))
    assert lack(Checked(said(VERIFIED, at=at(minutes=-1)))) == ""


def test_images_under_a_name_that_was_accepted_for_others_are_named() -> None:
    accepted = Checked(said(ACCEPTED))
    moved = replace(SUBJECT, digests={"web": OTHER_DIGEST})
    assert differs_from_accepted([], moved, "staging") == ""
    assert differs_from_accepted([accepted], SUBJECT, "staging") == ""
    assert differs_from_accepted([accepted], replace(SUBJECT, definition="e" * 64), "staging") == ""
    told = (
        "developer accepted other images under this name: it is for web at sha256:aaaaaaaaaaaa, not sha256:bbbbbbbbbbbb"
    )
    assert differs_from_accepted([accepted], moved, "staging") == told
    again = Checked(said(ACCEPTED, digests={"web": OTHER_DIGEST}, id="again"))
    assert differs_from_accepted([accepted, again], moved, "staging") == ""
    assert differs_from_accepted([replace(accepted, fault="forged")], moved, "staging") == ""
    assert differs_from_accepted([accepted, Checked(said(WITHDRAWN, of=ACCEPTED))], moved, "staging") == ""
