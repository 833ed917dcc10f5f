"""The gate under any set of statements: no way through without somebody else's approval, and no order that matters."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.model.gate import Checked
from plugins.module_utils.model.statement import ACCEPTED, APPROVED, BREAK_GLASS, KINDS, REQUESTED, VERIFIED
from plugins.module_utils.plan.gate import FRESH, judge
from tests.unit.gate.gate_parts import COMPLETE, GATE, NOW, OTHER_DIGEST, REASON, SUBJECT, said

NAMES = ("developer", "approver", "staging-1", "second")
_TIMES = st.integers(-40_000, 900_000).map(
    lambda seconds: (NOW - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
)
_WRONG: dict[str, st.SearchStrategy[Any]] = {
    "stack": st.sampled_from(["www", ""]),
    "release": st.sampled_from(["sha-0000000", ""]),
    "digests": st.sampled_from([{}, {"web": OTHER_DIGEST}, {**SUBJECT.digests, "x": OTHER_DIGEST}]),
    "definition": st.sampled_from(["e" * 64, ""]),
    "environment": st.sampled_from(["elsewhere", ""]),
}
_STATEMENTS = st.builds(
    lambda kind, by, at, changed, of, fault: Checked(said(kind, by=by, at=at, of=of, **changed), fault),
    st.sampled_from(sorted(KINDS)),
    st.sampled_from(NAMES),
    st.one_of(st.just(said(APPROVED).at), _TIMES),
    st.fixed_dictionaries({}, optional={**_WRONG, "why": st.sampled_from(["", "urgent", REASON])}).map(dict),
    st.sampled_from(["", *COMPLETE]),
    st.sampled_from(["", "", "", "it is forged"]),
)
_SETS = st.lists(st.one_of(_STATEMENTS, st.sampled_from([Checked(one) for one in COMPLETE.values()])), max_size=8)


def _decide(statements: list[Checked], requester: str = "developer") -> Any:
    return judge(SUBJECT, "production", statements, requester, NOW, GATE)


def _about_this(found: Checked, kind: str, environment: str) -> bool:
    one = found.statement
    spoken = (one.stack, one.release, one.digests, one.definition, one.environment)
    ours = (SUBJECT.stack, SUBJECT.release, SUBJECT.digests, SUBJECT.definition, environment)
    return one.kind == kind and not found.fault and spoken == ours


@given(_SETS, st.sampled_from(NAMES))
def test_nothing_passes_without_verified_accepted_and_an_approval_by_another(
    statements: list[Checked], requester: str
) -> None:
    if not _decide(statements, requester).allowed:
        return
    fresh = [found for found in statements if found.statement.by == requester]
    glass = [found for found in fresh if _about_this(found, BREAK_GLASS, "production")]
    if any(found.statement.why == REASON for found in glass):
        return
    assert any(_about_this(found, VERIFIED, "staging") for found in statements)
    assert any(_about_this(found, ACCEPTED, "staging") for found in statements)
    assert any(_about_this(found, REQUESTED, "production") for found in fresh)
    assert any(_about_this(found, APPROVED, "production") and found.statement.by != requester for found in statements)


@given(_SETS.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_the_order_in_which_statements_come_does_not_matter(both: tuple[list[Checked], list[Checked]]) -> None:
    first, second = (_decide(found) for found in both)
    assert first.allowed == second.allowed
    assert [one.what for one in first.missing] == [one.what for one in second.missing]


@given(_SETS, _STATEMENTS.filter(lambda found: found.fault))
def test_what_is_forged_changes_nothing(statements: list[Checked], forged: Checked) -> None:
    assert _decide(statements).allowed == _decide([*statements, forged]).allowed


@given(st.sampled_from(sorted(COMPLETE)), st.data())
def test_one_thing_changed_in_one_statement_shuts_the_gate(kind: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(_WRONG)))
    changed = replace(COMPLETE[kind], **{name: data.draw(_WRONG[name])})
    others = [Checked(one) for one in COMPLETE.values() if one.kind != kind]
    assert _decide([*others, Checked(COMPLETE[kind])]).allowed
    assert not _decide([*others, Checked(changed)]).allowed


@given(st.integers(-3600, 3600))
def test_a_request_holds_a_quarter_of_an_hour(seconds: int) -> None:
    asked = replace(COMPLETE[REQUESTED], at=(NOW - timedelta(seconds=seconds)).isoformat())
    others = [Checked(one) for one in COMPLETE.values() if one.kind != REQUESTED]
    assert _decide([*others, Checked(asked)]).allowed == (-120 <= seconds <= FRESH.seconds)
