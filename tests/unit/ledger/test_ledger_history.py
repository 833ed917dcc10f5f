"""How it came to be: one row for each event, whoever tells of it, with who allowed and verified that very release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from plugins.module_utils.model.ledger import entry_from
from plugins.module_utils.model.statement import (
    ACCEPTED,
    APPROVED,
    BREAK_GLASS,
    HAPPENED,
    REQUESTED,
    VERIFIED,
    Signed,
    Statement,
)
from plugins.module_utils.plan.history_causes import with_causes
from plugins.module_utils.plan.ledger_history import Found, Told, Wanted, history
from tests.unit.ledger.ledger_parts import chain, statement

BOTH = frozenset({"staging", "production"})
DIGESTS = {"web": "sha256:aa", "worker": "sha256:aa"}
DEPLOY = {"action": "deploy", "outcome": "done", "seconds": 4.2, "flip_ms": 70.1, "by": "kenji@laptop", "smoke": "4/4"}


def said(number: int, kind: str, hour: int, **changed: Any) -> Statement:
    given: dict[str, Any] = {"at": f"2026-11-25T{hour:02}:00:00.000Z", "digests": DIGESTS, "why": "", **changed}
    return statement(number, kind, **given)


def happened(number: int, hour: int, **changed: Any) -> Statement:
    return said(number, HAPPENED, hour, **{"by": "production-1", "details": DEPLOY, "why": "invoice fix", **changed})


def entries(*statements: Statement) -> list[Any]:
    texts = chain(0, [Signed(one.text(), "s") for one in statements])
    return [entry_from(text) for text in texts.values()]


def found(*statements: Statement, told: Told | None = None, forged: tuple[str, ...] = (), **wanted: Any) -> Found:
    """``forged`` are ids of statements whose signature counts in no environment."""
    asked = Wanted(**{"environments": BOTH, **wanted})
    return history(
        entries(*statements), told or Told(), asked, lambda them: ["forged" * (one.id in forged) for one, _ in them]
    )


def rows(*statements: Statement, **asked: Any) -> list[dict[str, Any]]:
    return list(found(*statements, **asked).rows)


def relying_on(*statements: Statement) -> dict[str, Any]:
    return {**DEPLOY, "requester": "hana", "relied_on": [one.id for one in statements]}


SAID = (
    said(1, VERIFIED, 1, environment="staging", by="staging-1", details={"smoke": "4/4"}),
    said(2, ACCEPTED, 2, environment="staging", by="kenji"),
    said(3, APPROVED, 3, by="naoko", expires="2026-11-30T00:00:00.000Z"),
    said(6, REQUESTED, 4, by="hana"),
)
STORY = (*SAID[:3], said(5, APPROVED, 3, by="hana"), SAID[3], happened(4, 5, details=relying_on(*SAID)))


def test_a_release_says_who_when_what_why_and_who_allowed_and_verified_it() -> None:
    newest = rows(*STORY)[0]
    expected = {
        "environment": "production",
        "host": "production-1",
        "stack": "odoo18",
        "at": "2026-11-25T05:00:00.000Z",
        "action": "deploy",
        "release": "sha-19b9b98",
        "digest": "sha256:aa",
        "outcome": "done",
        "seconds": 4.2,
        "flip_ms": 70.1,
        "by": "hana",
        "request": SAID[3].id,
        "why": "invoice fix",
        "approvals": ["naoko"],
        "verification": ["smoke 4/4 by staging-1 (staging)", "accepted by kenji (staging)"],
        "entry": 6,
        "kept": "ledger",
    }
    assert {key: newest[key] for key in expected} == expected


def test_what_was_said_is_a_row_too() -> None:
    assert [(row["action"], row["by"], row["entry"]) for row in rows(*STORY)] == [
        ("deploy", "hana", 6),
        ("requested", "hana", 5),
        ("approved", "naoko", 3),
        ("approved", "hana", 4),
        ("accepted", "kenji", 2),
        ("verified", "staging-1", 1),
    ]


NO_APPROVAL = {
    "of another digest": said(3, APPROVED, 3, digests={"web": "sha256:bb"}),
    "of another release": said(3, APPROVED, 3, release="sha-724f892"),
    "of another stack": said(3, APPROVED, 3, stack="ocr"),
}


@pytest.mark.parametrize("case", NO_APPROVAL)
def test_what_is_not_about_that_release_is_no_approval_of_it(case: str) -> None:
    one = NO_APPROVAL[case]
    (row,) = (row for row in rows(one, happened(4, 5, details=relying_on(one))) if row["kind"] == HAPPENED)
    assert row["approvals"] == []


def test_an_approval_that_the_host_did_not_rely_on_is_none() -> None:
    newest = rows(*SAID, happened(4, 5))[0]
    assert (newest["approvals"], newest["verification"], newest["by"]) == ([], [], "kenji@laptop")
    assert "request" not in newest


def test_what_names_no_statement_of_the_ledger_is_told_without_it() -> None:
    for odd in (["f" * 32, 7], "none", None):
        (row,) = rows(happened(4, 5, details={**DEPLOY, "relied_on": odd}))
        assert (row["approvals"], row["by"]) == ([], "kenji@laptop")


@pytest.mark.parametrize("number", range(4))
def test_a_statement_counts_by_its_signature_only(number: int) -> None:
    forged = SAID[number].id
    told = found(*STORY, forged=(forged,))
    newest = told.rows[0]
    assert forged not in [row["statement"] for row in told.rows]
    assert told.unsigned == 1
    assert len(newest["approvals"]) == (number != 2)
    assert len(newest["verification"]) == 2 - (number < 2)
    assert newest["by"] == ("kenji@laptop" if number == 3 else "hana")


def test_a_host_speaks_for_itself_where_its_signature_does_not_count() -> None:
    forged = happened(4, 5, details={**DEPLOY, "outcome": "undone"})
    event = {"statement": forged.id, "environment": "production", "stack": "odoo18", "at": forged.at,
             "release": forged.release, "digests": DIGESTS, **relying_on(*SAID)}  # fmt: skip
    here = frozenset({"production"})
    told = found(*SAID, forged, told=Told({}, [event]), forged=(forged.id,), last=1, environments=here)
    assert [(row["kept"], row["outcome"], row["by"]) for row in told.rows] == [("host", "done", "hana")]
    assert told.rows[0]["approvals"] == ["naoko"]


def test_signatures_are_looked_at_of_what_is_shown_by_those_whom_its_host_trusts() -> None:
    asked: list[tuple[str, str]] = []
    old = happened(7, 1)

    def faults(them: Sequence[tuple[Statement, str]]) -> list[str]:
        asked.extend((one.id, where) for one, where in them)
        return [""] * len(them)

    history(entries(old, *STORY), Told(), Wanted(BOTH, last=1), faults)
    assert old.id not in [number for number, _ in asked]
    assert (SAID[0].id, "production") in asked, "the host in production relied on it"
    assert len(asked) == len(set(asked))


def test_broken_glass_is_told_in_the_place_of_an_approval_and_a_rollback_needs_none() -> None:
    glass = said(3, BREAK_GLASS, 4, by="kenji", why="the shop is down and the fix is known")
    back = happened(5, 6, details={"action": "roll_back", "outcome": "done"})
    newest, deployed, _ = rows(glass, happened(4, 5, details=relying_on(glass)), back)
    assert (newest["action"], newest["approvals"], newest["by"]) == ("roll_back", [], "production-1")
    assert (deployed["approvals"], deployed["by"]) == (["kenji (broke the glass)"], "kenji")
    waits = Told({"production-1": [glass]})
    assert rows(happened(4, 5, details=relying_on(glass)), told=waits)[0]["by"] == "kenji", "the host has kept it"


def test_digests_that_differ_are_named_by_their_service() -> None:
    (row,) = rows(happened(1, 1, digests={"web": "sha256:aa", "job": "sha256:bb"}))
    assert row["digest"] == "job=sha256:bb, web=sha256:aa"
    (row,) = rows(happened(1, 1, digests={}))
    assert row["digest"] == ""


def test_an_event_is_one_row_whoever_tells_of_it() -> None:
    in_ledger, waits = happened(1, 1), happened(2, 2)
    events = [
        {"host": "production-1", "environment": "production", "stack": "odoo18", "at": f"2026-11-25T0{hour}:00:00.000Z",
         "action": "deploy", "release": "sha-19b9b98", "outcome": "done", **mark}
        for hour, mark in enumerate(({"statement": in_ledger.id}, {"statement": waits.id}, {"statement": ""}, {}), 1)
    ]  # fmt: skip
    told = Told({"production-1": [in_ledger, waits]}, events)
    shown = rows(in_ledger, told=told)
    assert [(row["at"][11:13], row["kept"]) for row in shown] == [
        ("04", "host"), ("03", "host"), ("02", "waiting"), ("01", "ledger"),
    ]  # fmt: skip
    assert {row["host"] for row in shown} == {"production-1"}


def test_a_period_has_its_beginning_and_not_its_end() -> None:
    story = [happened(hour, hour) for hour in range(1, 6)]
    shown = rows(*story, since="2026-11-25T02:00:00+00:00", until="2026-11-25T13:00:00+09:00")
    assert [row["at"][11:13] for row in shown] == ["03", "02"]


def test_only_the_stacks_and_environments_that_are_asked_for() -> None:
    story = [happened(1, 1), happened(2, 2, stack="ocr"), happened(3, 3, environment="staging")]
    assert [row["entry"] for row in rows(*story, stack="ocr")] == [2]
    assert [row["entry"] for row in rows(*story, environments=frozenset({"staging"}))] == [3]


def test_the_last_ones_are_of_each_stack_and_what_is_left_out_is_counted() -> None:
    story = [happened(number, number, stack=("ocr", "www")[number % 2]) for number in range(1, 8)]
    told = found(*story, last=2)
    assert [row["entry"] for row in told.rows] == [7, 6, 5, 4]
    assert told.left_out == 3
    assert found(*story, last=0).left_out == 0


def test_an_event_that_cannot_be_read_is_shown_and_is_in_every_period() -> None:
    odd = {"host": "h", "environment": "production", "stack": "ocr", "at": "", "action": "unreadable", "error": "cut"}
    shown = rows(happened(1, 1), told=Told({}, [odd]), since="2026-11-25T00:00:00+00:00")
    assert [row["action"] for row in shown] == ["deploy", "unreadable"]
    assert shown[-1]["error"] == "cut"


def test_details_do_not_pass_themselves_off_as_what_was_signed() -> None:
    lies = {
        **DEPLOY,
        "environment": "staging",
        "at": "2020-01-01T00:00:00Z",
        "release": "sha-fffffff",
        "kept": "host",
        "host": "elsewhere",
        "approvals": ["eve"],
        "request": "f" * 32,
        "said": "nothing",
        "kind": "approved",
        "digest": "sha256:ff",
    }
    (row,) = rows(happened(1, 1, details=lies))
    assert (row["environment"], row["release"], row["kind"]) == ("production", "sha-19b9b98", HAPPENED)
    assert (row["host"], row["approvals"], row["digest"]) == ("production-1", [], "sha256:aa")
    assert row["kept"] == "ledger"


def test_nothing_is_nothing() -> None:
    assert rows() == []


def test_that_a_migration_began_is_told_where_its_end_is_not() -> None:
    def event(outcome: str, **more: Any) -> dict[str, Any]:
        return {"environment": "production", "stack": "odoo18", "at": f"2026-11-25T0{len(outcome)}:00:00Z",
                "action": "migrate", "outcome": outcome, "transaction": "t", **more}  # fmt: skip

    begun, end = event("begun"), event("migrated")
    assert [row["outcome"] for row in rows(told=Told(events=[begun]))] == ["begun"]
    assert [row["outcome"] for row in rows(told=Told(events=[begun, end]))] == ["migrated"]
    details = {"action": "migrate", "outcome": "migrated", "transaction": "t"}
    told = Told(events=[begun])
    assert [row["outcome"] for row in rows(happened(1, 5, details=details), told=told)] == ["migrated"]


def test_the_cause_of_a_failure_comes_from_the_host_and_nothing_else_of_its_event() -> None:
    rows = [{"statement": "a", "by": "n", "kept": "ledger"}, {"statement": "b", "by": "n"}, {"by": "host only"}]
    event = {"host": "h", "statement": "a", "error": "it is unhealthy", "warnings": ["w"], "by": "x", "kept": "host"}
    expected = [{**rows[0], "error": "it is unhealthy", "warnings": ["w"]}, *rows[1:]]
    assert with_causes(rows, [event, {"statement": "", "error": "of nobody"}, {"error": "old"}]) == expected
