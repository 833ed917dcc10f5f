"""The table of what a stack can be returned to: examples, and what holds for every history."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.ops import GoingBack
from plugins.module_utils.model.release import Release, StackState
from plugins.module_utils.plan.pruning import images_of
from plugins.module_utils.plan.release import rollback_target
from plugins.module_utils.plan.rollback_targets import Schema, Target, read_schema, rollback_targets, schema_verdict

RULES = GoingBack(safe=("*_add_*",), script=("*_rename_*",), impossible=("*_drop_*",))
STEPS = {
    "fetch and verify the digest": 4.0,
    "start the candidate": 0.5,
    "wait for health": 1.5,
    "smoke off the edge": 0.1,
    "switch the edge": 0.2,
    "smoke through the edge": 0.1,
    "drain the old release": 9.0,
}


def record(number: int, of: int = 0) -> Release:
    tree = {"services": {"web": {"image": "r/shop:${RELEASE}"}}}
    digests = {"web": f"sha256:{of or number}"}
    return Release(number, "shop", f"sha-{of or number:07d}", digests, tree, "d", {}, "", of=of)


def event(number: int, at: str, **more: Any) -> dict[str, Any]:
    return {"outcome": "done", "number": number, "at": at, **more}


def targets(records: list[Release], state: StackState, history: list[dict[str, Any]], **more: Any) -> list[Target]:
    given: dict[str, Any] = {"containers": {}, "held": set(), "schemas": {}, "rules": RULES, **more}
    return rollback_targets(records, state, history, images=images_of(records), **given)


def test_each_target_says_where_it_is_and_how_long_it_takes() -> None:
    records = [record(number) for number in (1, 2, 3, 4, 5)]
    history = [event(number, f"2026-11-0{number}", steps=STEPS) for number in (1, 2, 3, 4, 5)]
    found = targets(
        records,
        StackState(live=5, standby=4, last=5),
        history,
        containers={5: "running", 4: "running", 3: "exited"},
        held={"r/shop@sha256:2", "r/shop@sha256:3", "r/shop@sha256:4", "r/shop@sha256:5"},
    )
    assert [(one.number, one.steps, one.state, one.seconds) for one in found] == [
        (4, 1, "warm", 0.4),
        (3, 2, "stopped", 2.4),
        (2, 3, "image only", 2.4),
        (1, 4, "image gone", 6.4),
    ]
    assert (found[0].since, found[0].until) == ("2026-11-04", "2026-11-05")


def test_what_a_rollback_left_is_reached_by_its_name_alone() -> None:
    records = [record(1), record(2), record(3)]
    history = [event(1, "a"), event(2, "b"), event(3, "c"), event(2, "d")]
    found = targets(records, StackState(live=2, standby=3, last=3), history, containers={3: "paused"})
    assert [(one.number, one.steps, one.state) for one in found] == [(1, 1, "image gone"), (3, 0, "paused")]
    assert (found[1].since, found[1].until) == ("c", "d")


def test_a_bad_release_is_no_target_and_a_repeated_one_is_one() -> None:
    records = [record(1), record(2), record(3, of=1), record(4)]
    history = [event(number, str(number)) for number in (1, 2, 3, 4)]
    found = targets(records, StackState(live=4, standby=3, last=4, bad=(2,)), history)
    assert [(one.number, one.release) for one in found] == [(3, "sha-0000001")]


def test_without_a_measurement_nothing_is_estimated() -> None:
    records = [record(1), record(2)]
    [found] = targets(records, StackState(live=2, standby=1, last=2), [event(1, "a"), event(2, "b")])
    assert found.seconds is None
    assert found.schema == "not known"


def test_what_a_release_knows_is_in_its_images() -> None:
    records = [record(1), record(2), record(3, of=1), record(4)]
    history = [event(number, str(number)) for number in (1, 2, 3, 4)]
    schemas = {1: known("1_base"), 4: known("1_base", "2_add_a")}
    found = targets(records, StackState(live=4, standby=3, last=4), history, schemas=schemas)
    assert [(one.number, one.schema) for one in found] == [(3, "safe: works with 2_add_a"), (2, "not known")]


def known(*names: str, applied: tuple[str, ...] | None = None) -> Schema:
    return Schema(frozenset(names), frozenset(names if applied is None else applied))


@pytest.mark.parametrize(
    ("target", "now", "verdict"),
    [
        (known("1_base"), known("1_base"), "the same"),
        (known("1_base", "2_add_b", applied=("1_base",)), known("1_base", "2_add_b"), "the same"),
        (known("1_base"), known("1_base", "2_add_a"), "safe: works with 2_add_a"),
        (known("1_base"), known("1_base", "2_add_a", "3_rename_b"), "take back first: 3_rename_b"),
        (known("1_base"), known("1_base", "3_rename_b", "4_drop_c"), "impossible: 4_drop_c; restore a backup"),
        (known("1_base"), known("1_base", "3_rename_b", "5_x"), "nobody said what 5_x means to it"),
        (known("1_base"), known("1_base", "4_drop_add_c"), "impossible: 4_drop_add_c; restore a backup"),
        (None, known("1_base"), "not known"),
        (known("1_base"), None, "not known"),
    ],
)
def test_schema_verdict(target: Schema | None, now: Schema | None, verdict: str) -> None:
    assert schema_verdict(target, now, RULES) == verdict


def test_reads_what_a_status_command_prints() -> None:
    one = {"applied": ["1", "2", "9"], "pending": ["3"], "unknown": ["9"]}
    two = {"applied": ["1"], "pending": ["2", "3"]}
    assert read_schema(json.dumps({"databases": {"a": one, "b": two}})) == Schema(
        frozenset({"1", "2", "3"}), frozenset({"1", "2", "9"})
    )
    assert read_schema('{"databases": {}}') == Schema()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"databases": []}', '{"databases": {"a": {}}}', "Traceback"])
def test_refuses_what_is_no_status(text: str) -> None:
    with pytest.raises(OpsError, match=r"x-ops\.migrate\.status"):
        read_schema(text)


_events = st.lists(st.integers(1, 6), min_size=1, max_size=15)


@given(_events, st.sets(st.integers(1, 6)))
def test_steps_lead_where_a_rollback_leads(numbers: list[int], bad: set[int]) -> None:
    records = [record(number) for number in range(1, 7)]
    history = [event(number, f"{at:02d}") for at, number in enumerate(numbers)]
    state = StackState(live=numbers[-1], last=6, bad=tuple(bad - {numbers[-1]}))
    found = targets(records, state, history)
    assert len({one.number for one in found}) == len(found)
    for one in found:
        assert one.number not in (*state.bad, state.live)
        if one.steps:
            assert rollback_target(records, state, history, steps=one.steps).number == one.number
    assert sorted(one.steps for one in found if one.steps) == list(range(1, sum(bool(one.steps) for one in found) + 1))
