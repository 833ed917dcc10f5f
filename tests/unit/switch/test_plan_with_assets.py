"""A plan leaves the old release behind the edge as long as it is sound, and never removes what the edge leads to."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest

from plugins.module_utils.model.stack import parse_tree
from plugins.module_utils.model.switching import Asset
from plugins.module_utils.plan.containers import container_name
from plugins.module_utils.plan.edge_assets import with_old_assets
from plugins.module_utils.plan.stacks import plan_stacks
from tests.property.estate_parts import ENVIRONMENT, SHA, SHOP_TREE, bare, estate, release_of
from tests.property.simulated_host import SimulatedHost

PATHS = ("/static", "/files")


def switched(kept: tuple[str, ...]) -> tuple[SimulatedHost, list[Any]]:
    """The shop's release 2 is live, 1 its standby, which answers for these paths."""
    tree = copy.deepcopy(SHOP_TREE)
    tree["x-ops"]["assets"] = [{"path": path} for path in PATHS]
    stacks = estate(shop=tree)
    shop = next(one for one in stacks if one.stack.name == "shop")
    host = bare(stacks)
    host.live["shop"], host.standby["shop"] = release_of(shop, SHA, 1), release_of(shop, SHA, 2)
    for live, standby in ((1, 0), (2, 1)):
        host.live["shop"] = release_of(shop, SHA, live)
        host.standby.pop("shop", None)
        if standby:
            host.standby["shop"] = release_of(shop, SHA, standby)
        for step in plan_stacks(stacks, host.observed(), ENVIRONMENT).steps:
            host.do(step)
    for name, found in host.containers.items():
        host.containers[name] = replace(found, health=found.health and "healthy")
    stack, old = (parse_tree(one.tree, "record") for one in (host.live["shop"], host.standby["shop"]))
    addresses = {one.name: container_name("shop", one.name, host.standby["shop"]) for one in old.released}
    assets = [Asset(path, 3600) for path in kept]
    routes, before = stack.ops.routes, old.ops.routes
    host.routes["shop"] = with_old_assets(
        host.routes["shop"], "shop", routes, assets, before, addresses, cert_resolver=shop.cert_resolver
    )
    return host, stacks


@pytest.mark.parametrize("kept", [(), PATHS[:1], PATHS[1:], PATHS], ids=str)
def test_whatever_is_still_kept_is_no_difference(kept: tuple[str, ...]) -> None:
    host, stacks = switched(kept)
    assert plan_stacks(stacks, host.observed(), ENVIRONMENT).lines() == []


def test_a_route_that_leads_elsewhere_is_mended() -> None:
    host, stacks = switched(PATHS)
    services = host.routes["shop"]["http"]["services"]
    old = next(name for name in services if name.endswith(".old"))
    services[old]["loadBalancer"]["servers"] = [{"url": "http://elsewhere:80"}]
    assert plan_stacks(stacks, host.observed(), ENVIRONMENT).lines() == [
        "shop: place route shop (differs from the live release)"
    ]


@pytest.mark.parametrize("status", ["exited", "paused"])
def test_a_standby_that_does_not_answer_is_taken_from_the_edge(status: str) -> None:
    host, stacks = switched(PATHS)
    name = next(name for name, found in host.containers.items() if found.stack == "shop" and found.number == 1)
    host.containers[name] = replace(host.containers[name], status=status, health="")
    lines = plan_stacks(stacks, host.observed(), ENVIRONMENT).lines()
    assert lines == ["shop: place route shop (differs from the live release)"]


def test_a_standby_that_was_changed_goes_after_the_edge_let_go_of_it() -> None:
    host, stacks = switched(PATHS)
    name = next(name for name, found in host.containers.items() if found.stack == "shop" and found.number == 1)
    found = host.containers[name]
    host.containers[name] = replace(found, told={**found.told, "Config": {**found.told["Config"], "User": "0"}})
    plan = plan_stacks(stacks, host.observed(), ENVIRONMENT)
    assert [step.action for step in plan.steps] == ["place route", "remove container"]
    for step in plan.steps:
        host.do(step)
    assert plan_stacks(stacks, host.observed(), ENVIRONMENT).lines() == []
