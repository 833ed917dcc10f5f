"""A rehearsed rollback shows what the stack can be returned to, also when it cannot go where it was asked to."""

from __future__ import annotations

import pytest

from plugins.module_utils.release import deploy, roll_back
from plugins.module_utils.report import Result, told
from plugins.module_utils.rollback import with_targets
from tests.property.release_parts import NEW, OLD, STACK, host_with_a_release, request, simulated_edge


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
