"""Whatever was removed, stopped or altered on a host: one plan mends it, and the next one is empty."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.module_utils.model.container import ObservedContainer
from plugins.module_utils.model.errors import InvalidInput
from plugins.module_utils.model.host import WantedStack
from plugins.module_utils.plan.stacks import plan_stacks
from plugins.module_utils.plan.steps import Plan
from tests.property.estate_parts import ENVIRONMENT, SHA, SHOP_TREE, UNWATCHED, bare, estate, marks, wanted
from tests.property.simulated_host import SimulatedHost

NEVER = ("theirs", "bridge", "foreign-web-1")
FOREIGN = ObservedContainer(
    "foreign-web-1", "foreign", "web", 1, "running", networks={"theirs": frozenset()}, told={"Mounts": []}
)


def planned(stacks: list[WantedStack], host: SimulatedHost) -> Plan:
    return plan_stacks(stacks, host.observed(), ENVIRONMENT)


def carry_out(plan: Plan, host: SimulatedHost, order: random.Random) -> None:
    """Do the steps one by one in any order that ``after`` allows."""
    done: set[str] = set()
    left = list(plan.steps)
    while left:
        ready = [step for step in left if step.after <= done]
        assert ready, f"these wait for each other: {[str(step) for step in left]}"
        step = order.choice(ready)
        host.do(step)
        done.add(step.id)
        left.remove(step)


def converged(stacks: list[WantedStack], seed: int = 0) -> SimulatedHost:
    host = bare(stacks)
    carry_out(planned(stacks, host), host, random.Random(seed))
    carry_out(planned(stacks, host), host, random.Random(seed))  # what the first release left "starting"
    assert planned(stacks, host).lines() == []
    host.containers[FOREIGN.name] = FOREIGN
    host.touched.clear()
    return host


@cache
def converged_once() -> SimulatedHost:
    return converged(estate())


def test_a_bare_host_needs_every_step_once() -> None:
    stacks = estate()
    plan = planned(stacks, bare(stacks))
    assert len({step.id for step in plan.steps}) == len(plan.steps)
    assert [str(step) for step in plan.steps if step.action == "release"] == [
        f"shop: release shop {SHA} (first release of this host)"
    ]


# -- damage: each is one thing that can happen to a host; hypothesis draws which, and in which order -------------------

Damage = Callable[[SimulatedHost, random.Random], None]


def _pick(host: SimulatedHost, draw: random.Random) -> str:
    ours = sorted(name for name, found in host.containers.items() if found.stack != "foreign")
    return draw.choice(ours) if ours else ""


def _alter(**fields: Any) -> Damage:
    def alter(host: SimulatedHost, draw: random.Random) -> None:
        if name := _pick(host, draw):
            host.containers[name] = replace(host.containers[name], **fields)

    return alter


def _lose_container(host: SimulatedHost, draw: random.Random) -> None:
    host.containers.pop(_pick(host, draw), None)


def _detach(host: SimulatedHost, draw: random.Random) -> None:
    if (name := _pick(host, draw)) and host.containers[name].networks:
        gone = draw.choice(sorted(host.containers[name].networks))
        _leave(host, name, gone)


def _leave(host: SimulatedHost, name: str, network: str) -> None:
    left = {key: aliases for key, aliases in host.containers[name].networks.items() if key != network}
    host.containers[name] = replace(host.containers[name], networks=left)


def _attach(host: SimulatedHost, draw: random.Random) -> None:
    if name := _pick(host, draw):
        networks = {**host.containers[name].networks, "theirs": frozenset[str]()}
        host.containers[name] = replace(host.containers[name], networks=networks)


def _lose_names(host: SimulatedHost, draw: random.Random) -> None:
    if name := _pick(host, draw):
        networks = dict.fromkeys(host.containers[name].networks, frozenset[str]())
        host.containers[name] = replace(host.containers[name], networks=networks)


def _open_network(host: SimulatedHost, draw: random.Random) -> None:
    if "shop_back" in host.networks:
        host.networks["shop_back"] = replace(host.networks["shop_back"], internal=False)


def _lose_network(host: SimulatedHost, draw: random.Random) -> None:
    gone = draw.choice(sorted(host.networks.keys() - {"theirs", "bridge"}) or [""])
    host.networks.pop(gone, None)
    for name in host.containers:
        _leave(host, name, gone)


def _lose(what: str) -> Damage:
    def lose(host: SimulatedHost, draw: random.Random) -> None:
        held = getattr(host, what)
        for gone in [name for name in sorted(held) if name not in NEVER and draw.random() < 0.5]:
            held.pop(gone) if isinstance(held, dict) else held.discard(gone)

    return lose


def _lose_everything_on_tmpfs(host: SimulatedHost, draw: random.Random) -> None:
    host.secrets.clear()


def _alter_route(host: SimulatedHost, draw: random.Random) -> None:
    host.routes["shop"] = {"http": {}}


def _edit_configs(host: SimulatedHost, draw: random.Random) -> None:
    host.configs = {path: draw.random() < 0.5 for path in host.configs}


def _update(host: SimulatedHost, draw: random.Random) -> None:
    """As docker update does, or somebody who makes a container anew by hand."""
    if name := _pick(host, draw):
        told = copy.deepcopy(dict(host.containers[name].told))
        told["HostConfig"]["Memory"] = 1024
        told["Config"]["User"] = "0"
        host.containers[name] = replace(host.containers[name], told=told)


def _die_in_a_replacement(host: SimulatedHost, draw: random.Random) -> None:
    """At any of its moments: the new one made; the old one renamed; the new one renamed, and not started."""
    old = host.containers.get("shop-cache")
    if old is None:
        return
    moment = draw.randrange(3)
    new = replace(old, name="shop-cache-next", status="created", health="")
    if moment < 2:
        host.containers[new.name] = new
    if moment > 0:
        host.containers["shop-cache-replaced"] = replace(old, name="shop-cache-replaced", status="exited", health="")
        del host.containers["shop-cache"]
    if moment == 2:
        host.containers["shop-cache"] = replace(new, name="shop-cache")


def _die_in_a_deploy(host: SimulatedHost, draw: random.Random) -> None:
    name = "shop-web-2222222-9"
    host.containers[name] = replace(
        FOREIGN, name=name, stack="shop", number=9, status=draw.choice(["running", "exited"])
    )
    if draw.random() < 0.5:  # after the edge was switched, before the state was
        text = {"http": {"services": {"shop-w": {"loadBalancer": {"servers": [{"url": f"http://{name}:80"}]}}}}}
        host.routes["shop"] = text


def _forget_the_edge(host: SimulatedHost, draw: random.Random) -> None:
    host.edge_ready = False


def _fail_a_job(host: SimulatedHost, draw: random.Random) -> None:
    if found := host.containers.get("shop-seed"):
        host.containers["shop-seed"] = replace(found, status="exited", exit_code=3)


def _undeclared_accessory(host: SimulatedHost, draw: random.Random) -> None:
    host.containers["shop-old"] = replace(FOREIGN, name="shop-old", stack="shop", service="old", number=0)


DAMAGES: dict[str, Damage] = {
    "stopped": _alter(status="exited", health="", exit_code=137),
    "paused": _alter(status="paused"),
    "unhealthy": _alter(health="unhealthy"),
    "container gone": _lose_container,
    "detached": _detach,
    "network gone": _lose_network,
    "volumes gone": _lose("volumes"),
    "images gone": _lose("images"),
    "configs gone": _lose("configs"),
    "routes gone": _lose("routes"),
    "rebooted": _lose_everything_on_tmpfs,
    "route altered": _alter_route,
    "updated by hand": _update,
    "died in a replacement": _die_in_a_replacement,
    "configs edited": _edit_configs,
    "attached": _attach,
    "names in a network lost": _lose_names,
    "network opened": _open_network,
    "job failed": _fail_a_job,
    "died in a deploy": _die_in_a_deploy,
    "edge not prepared": _forget_the_edge,
    "accessory not declared any more": _undeclared_accessory,
}


@st.composite
def changed_declarations(draw: st.DrawFn) -> dict[str, Any]:
    """The shop as somebody may have edited its file since it was released."""
    tree = copy.deepcopy(SHOP_TREE)
    services = tree["services"]
    if draw(st.booleans()):
        tree["configs"]["ca"]["content"] = draw(st.sampled_from(["one", "two"]))
    if draw(st.booleans()):
        services["cache"]["environment"] = {"A": draw(st.sampled_from("xy"))}
    if draw(st.booleans()):
        services["web"]["environment"] = {"A": "x"}
    if draw(st.booleans()):
        del services["web"]["configs"], tree["configs"]
    if draw(st.booleans()):
        services["web"]["networks"] = ["edge"]
    if draw(st.booleans()):
        del services["web"]["volumes"], tree["volumes"]["files"]
    if draw(st.booleans()):
        services["more"] = {"image": "r/more:1", "depends_on": ["cache"], "healthcheck": UNWATCHED}
    return tree


@settings(max_examples=120)
@given(
    damages=st.lists(st.sampled_from(sorted(DAMAGES)), max_size=6),
    tree=st.none() | changed_declarations(),
    mark=st.sampled_from(["m1", "m1", "m2"]),
    seed=st.integers(0, 2**32),
)
def test_one_plan_mends_a_host_and_the_next_is_empty(
    damages: list[str], tree: dict[str, Any] | None, mark: str, seed: int
) -> None:
    draw = random.Random(seed)
    host = copy.deepcopy(converged_once())
    for damage in damages:
        DAMAGES[damage](host, draw)
    volumes = set(host.volumes)
    stacks = estate(mark=mark, shop=tree)
    host.wanted_marks = marks(stacks)

    carry_out(planned(stacks, host), host, draw)

    again = planned(stacks, host)
    # A healthy container is only seen as such by its next check.
    assert [line for line in again.lines() if _counts(line)] == []
    assert not [target for _, target in host.touched if target in NEVER], "touched what is not ours"
    assert host.containers[FOREIGN.name] == FOREIGN
    assert host.volumes.keys() >= volumes, "a plan removed a volume"
    replaced = {target for action, target in host.touched if action == "replace container"}
    assert not [name for name in replaced if name.startswith("shop-web")], "a container of a release was replaced"
    assert not [name for name in host.containers if name.startswith("shop-web-2222222")]


def _counts(line: str) -> bool:
    # A health check passes later; and a secret that a container still had goes with the next convergence.
    return not ("await" in line or "remove secret" in line or line.startswith("note:"))


@settings(max_examples=40)
@given(tree=changed_declarations(), seed=st.integers(0, 2**32))
def test_the_live_release_comes_back_whatever_its_file_says_by_now(tree: dict[str, Any], seed: int) -> None:
    host = copy.deepcopy(converged_once())
    for name in [name for name, found in host.containers.items() if found.number and found.stack == "shop"]:
        del host.containers[name]
    for held in (host.configs, host.volumes, host.networks, host.images):
        held.clear()
    stacks = estate(shop=tree)
    carry_out(planned(stacks, host), host, random.Random(seed))
    assert host.containers["shop-web-1111111-1"].running


@pytest.mark.parametrize("seed", range(5))
def test_a_container_is_in_its_networks_before_it_starts(seed: int) -> None:
    host = copy.deepcopy(converged_once())
    name = "shop-web-1111111-1"
    host.containers[name] = replace(host.containers[name], status="exited", networks={})
    carry_out(planned(estate(), host), host, random.Random(seed))
    assert host.containers[name].networks.keys() == {"shop_back", "edge"}


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32))
def test_a_bare_host_converges_in_any_order(seed: int) -> None:
    converged(estate(), seed)


@settings(max_examples=40)
@given(damages=st.lists(st.sampled_from(sorted(DAMAGES)), max_size=4), seed=st.integers(0, 2**32))
def test_parts_of_a_plan_can_be_done_alone(damages: list[str], seed: int) -> None:
    draw = random.Random(seed)
    stacks = estate()
    host = copy.deepcopy(converged_once())
    for damage in damages:
        DAMAGES[damage](host, draw)
    plan = planned(stacks, host)
    for part in ("ground", "accessory", "route"):
        for step in plan.only([part]).steps:
            assert step.part == part
            assert step.after <= {other.id for other in plan.only([part]).steps}


def test_stacks_whose_containers_would_be_called_alike() -> None:
    one = wanted({"name": "a", "services": {"b-c": {"image": "r/x:1", "healthcheck": UNWATCHED}}})
    two = wanted({"name": "a-b", "services": {"c": {"image": "r/x:1", "healthcheck": UNWATCHED}}})
    with pytest.raises(InvalidInput, match="stacks 'a' and 'a-b' would both have a container 'a-b-c'"):
        plan_stacks([one, two], SimulatedHost().observed(), ENVIRONMENT)
