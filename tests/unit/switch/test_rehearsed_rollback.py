"""A rehearsed rollback shows what the stack can be returned to, also when it cannot go where it was asked to."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plugins.module_utils.gateway.schema_notes import note_schema
from plugins.module_utils.release import deploy, roll_back
from plugins.module_utils.report import Result, told
from plugins.module_utils.rollback import with_targets
from tests.property.release_parts import NEW, OLD, STACK, TREE, host_with_a_release, request, simulated_edge


@pytest.mark.parametrize(
    ("sha", "steps", "says"),
    [("", 1, ""), ("sha-9999999", 1, "there is no good release at sha-9999999"), ("", 7, "no good release 7 steps")],
)
def test_the_targets_are_shown_whether_or_not_one_was_found(sha: str, steps: int, says: str) -> None:
    with simulated_edge(), host_with_a_release() as (host, _):
        deploy(host, request(host), NEW)

        def rehearse() -> Result:
            return told(*roll_back(host, request(host), steps=steps, sha=sha, rehearse=True))

        result = with_targets(host, STACK, rehearse)
    assert says in result.get("msg", "")
    assert bool(result.get("failed")) == bool(says)
    assert [target["release"] for target in result["targets"]] == [OLD]
    table = result["display"][result["display"].index("What it can be returned to:") :]
    assert any(OLD in line for line in table)


MIGRATE = {
    "service": "web",
    "command": ["migrate"],
    "going_back": {"safe": ["*_add_*"], "script": ["*_rename_*"], "impossible": ["*_drop_*"]},
}


@pytest.mark.parametrize(
    ("since", "says"),
    [
        ("2_add_a", ""),
        ("3_x", ""),
        ("3_rename_b", "take back first: 3_rename_b"),
        ("4_drop_c", "impossible: 4_drop_c; restore a backup"),
        (None, ""),
    ],
)
def test_a_rollback_warns_of_a_migration_that_stands_in_the_way_and_goes_on(
    since: str | None, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TREE["x-ops"], "migrate", MIGRATE)
    with simulated_edge(), host_with_a_release() as (host, _):
        newer = replace(request(host), wanted=replace(request(host).wanted, digests={"web": "sha256:2"}))
        deploy(host, newer, NEW)
        base = frozenset({"1_base"})
        note_schema(host.state, STACK, 1, base, base)
        if since:
            note_schema(host.state, STACK, 2, base | {since}, base | {since})
        receipt, said = roll_back(host, request(host))
    assert receipt is not None
    assert receipt.release == OLD
    warnings = [line for line in said if "the schema went on since" in line]
    assert len(warnings) == bool(says)
    assert not says or says in warnings[0]
