"""The real Apply over steps that only note when they ran: order holds, a failure stops what waits for it alone."""

from __future__ import annotations

import threading
from typing import Any, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.module_utils.apply import Apply, Outcome, failure
from plugins.module_utils.hands import Host
from plugins.module_utils.model.errors import InvalidInput, OpsError
from plugins.module_utils.plan.steps import GROUND, Plan, Step


@st.composite
def plans(draw: st.DrawFn) -> tuple[Plan, frozenset[str]]:
    """Steps that wait for earlier ones, in any order, and the ids of those that fail."""
    count = draw(st.integers(0, 14))
    steps: list[Step] = []
    for number in range(count):
        after = draw(st.frozensets(st.sampled_from([step.id for step in steps]))) if steps else frozenset()
        steps.append(Step("do", str(number), "why", "shop", GROUND, after=after))
    failing = draw(st.frozensets(st.sampled_from([step.id for step in steps]), max_size=3)) if steps else frozenset()
    return Plan(tuple(draw(st.permutations(steps)))), failing


def carried_out(plan: Plan, failing: frozenset[str]) -> tuple[Outcome, list[tuple[str, str]]]:
    happened: list[tuple[str, str]] = []
    lock = threading.Lock()

    def do(step: Step) -> None:
        with lock:
            happened.append(("began", step.id))
        if step.id in failing:
            raise OpsError(f"{step.id} failed")
        with lock:
            happened.append(("done", step.id))

    apply = Apply(cast(Host, None), {})
    apply._does = {"do": do}
    return apply.run(plan), happened


def _doomed(plan: Plan, failing: frozenset[str]) -> set[str]:
    """Every step that waits, directly or not, for one that fails."""
    doomed: set[str] = set()
    for _ in plan.steps:
        doomed |= {step.id for step in plan.steps if step.after & (failing | doomed)}
    return doomed


@settings(max_examples=80)
@given(plans())
def test_every_step_runs_once_after_those_it_waits_for(drawn: tuple[Plan, frozenset[str]]) -> None:
    plan, _ = drawn
    outcome, happened = carried_out(plan, frozenset())
    assert sorted(outcome.done) == sorted(step.id for step in plan.steps)
    assert (outcome.failed, outcome.left) == ({}, [])
    assert len(happened) == 2 * len(plan.steps)
    for step in plan.steps:
        for earlier in step.after:
            assert happened.index(("done", earlier)) < happened.index(("began", step.id))


@settings(max_examples=80)
@given(plans())
def test_a_failure_stops_what_waits_for_it_and_nothing_else(drawn: tuple[Plan, frozenset[str]]) -> None:
    plan, failing = drawn
    outcome, _ = carried_out(plan, failing)
    doomed = _doomed(plan, failing)
    assert set(outcome.left) == doomed
    assert set(outcome.failed) == failing - doomed
    assert set(outcome.done) == {step.id for step in plan.steps} - failing - doomed


def test_all_failures_are_told() -> None:
    assert failure(Outcome()) is None
    one: dict[str, Any] = {"a": OpsError("a failed")}
    assert failure(Outcome(failed=one)) is one["a"]
    both = failure(Outcome(failed={**one, "b": OpsError("b failed")}))
    assert isinstance(both, InvalidInput)
    assert str(both) == "a failed\nb failed"
