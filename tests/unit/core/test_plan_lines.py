"""What an operator reads of a plan: the cases are data, in cases/plans.yml."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from plugins.module_utils.model.container import ObservedContainer
from plugins.module_utils.plan.containers import pinned
from plugins.module_utils.plan.stacks import plan_stacks
from tests.property.estate_parts import ENVIRONMENT, SHA, SHOP_TREE, bare, estate, release_of
from tests.property.simulated_host import SimulatedHost
from tests.unit.core.core_parts import case_name, cases


def converged() -> SimulatedHost:
    """A host on which every step of a bare host's plan was taken, and every health check has passed since."""
    stacks = estate()
    host = bare(stacks)
    for step in plan_stacks(stacks, host.observed(), ENVIRONMENT).steps:
        host.do(step)
    for name, found in host.containers.items():
        host.containers[name] = replace(found, health=found.health and "healthy")
    return host


def damaged(case: dict[str, Any]) -> SimulatedHost:
    host = converged()
    for what, names in case.get("gone", {}).items():
        held = getattr(host, what)
        for name in names:
            assert name in held, f"{name} is not there in the first place"
            held.pop(name) if isinstance(held, dict) else held.remove(name)
    for name in case.get("stopped", []):
        host.containers[name] = replace(host.containers[name], running=False, health="")
    for name, fields in case.get("altered", {}).items():
        changed: dict[str, Any] = {
            key: frozenset(value) if isinstance(value, list) else value for key, value in fields.items()
        }
        host.containers[name] = replace(host.containers[name], **changed)
    for name, fields in case.get("also", {}).items():
        given: dict[str, Any] = {
            "number": 0,
            "running": True,
            "health": "",
            "spec": {},
            "networks": frozenset(),
            **fields,
        }
        host.containers[name] = ObservedContainer(name=name, id=name, **given)
    return host


def declared(case: dict[str, Any]) -> dict[str, Any]:
    tree = copy.deepcopy(SHOP_TREE)
    for path, value in case.get("declares", {}).items():
        *parents, last = path.split(".")
        at = tree
        for parent in parents:
            at = at[parent]
        at[last] = value
    return tree


@pytest.mark.parametrize("case", cases("plans"), ids=case_name)
def test_a_plan_says_what_and_why(case: dict[str, Any]) -> None:
    stacks = estate(mark=case.get("mark", "m1"), shop=declared(case))
    assert plan_stacks(stacks, damaged(case).observed(), ENVIRONMENT).lines() == case["plan"]


def test_a_stack_without_release_or_baseline_says_so() -> None:
    plan = plan_stacks(estate(baseline=""), bare(estate()).observed(), ENVIRONMENT)
    assert plan.notes == ("shop has no release yet: deploy one, or declare a baseline",)


def test_secret_values_and_marks_are_in_no_line() -> None:
    plan = plan_stacks(estate(mark="m2"), converged().observed(), ENVIRONMENT)
    assert "m2" not in " ".join([*plan.lines(), repr(plan)])


def test_a_redeploy_at_the_same_sha_has_another_container() -> None:
    shop = estate()[0]
    host = converged()
    host.live["shop"] = release_of(shop, SHA, 2)
    host.kept["shop"] = {1, 2}
    assert "shop: create container shop-web-1111111-2 (missing)" in plan_stacks([shop], host.observed(), "test").lines()


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("redis:7", "redis@sha256:1"),
        ("registry:5000/redis:7", "registry:5000/redis@sha256:1"),
        ("registry:5000/a/redis:sha-1234567", "registry:5000/a/redis@sha256:1"),
    ],
)
def test_what_runs_is_a_digest(image: str, found: str) -> None:
    assert pinned(image, "sha256:1") == found
