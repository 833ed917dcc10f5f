"""What an operator reads of a plan: the cases are data, in cases/plans.yml."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from plugins.module_utils.model.container import ObservedContainer
from plugins.module_utils.model.host import ObservedNetwork
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
        host.containers[name] = replace(host.containers[name], status="exited", health="")
    for name, fields in case.get("altered", {}).items():
        host.containers[name] = altered(host.containers[name], fields)
    for name, fields in case.get("also", {}).items():
        host.containers[name] = ObservedContainer(name=name, **{"number": 0, "status": "running", **fields})
    for name, names in case.get("secrets", {}).items():
        host.secrets[name] = set(names)
    for name in case.get("edited", []):
        host.configs |= {path: False for path in host.configs if path.endswith(f"-{name}")}
    host.networks |= {name: ObservedNetwork(**fields) for name, fields in case.get("networks", {}).items()}
    host.routes |= case.get("routes", {})
    host.known |= set(case.get("known", ()))
    return host


def altered(found: ObservedContainer, fields: dict[str, Any]) -> ObservedContainer:
    changed = dict(fields)
    if "networks" in changed:
        changed["networks"] = {name: frozenset(aliases) for name, aliases in changed["networks"].items()}
    if settings := changed.pop("settings", None):
        changed["told"] = merged(found.told, settings)
    return replace(found, **changed)


def merged(told: Mapping[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    return dict(told) | {
        key: merged(told[key], value) if isinstance(value, dict) else value for key, value in settings.items()
    }


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
    declared_stacks = [one.stack.name for one in stacks]
    assert plan_stacks(stacks, damaged(case).observed(), ENVIRONMENT, declared_stacks).lines() == case["plan"]


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
    host.standby["shop"] = release_of(shop, SHA, 1)
    lines = plan_stacks([shop], host.observed(), "test").lines()
    assert "shop/web: create container shop-web-1111111-2 (missing)" in lines
