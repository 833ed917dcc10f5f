"""A small estate for properties: the edge, a stack with releases and all a stack can have, and one of accessories."""

from __future__ import annotations

from typing import Any

from plugins.module_utils.model.health import COMPLETED
from plugins.module_utils.model.host import ObservedNetwork, WantedStack
from plugins.module_utils.model.stack import parse_tree
from tests.property.simulated_host import ENVIRONMENT, SimulatedHost, release_of

UNWATCHED = {"disable": True}
EDGE_TREE: dict[str, Any] = {
    "name": "edge",
    "services": {"traefik": {"image": "r/traefik:3", "networks": ["edge"], "healthcheck": UNWATCHED}},
    "networks": {"edge": {"name": "edge"}},
}
SHOP_TREE: dict[str, Any] = {
    "name": "shop",
    "services": {
        "web": {
            "image": "r/shop:${RELEASE}",
            "networks": ["back", "edge"],
            "volumes": ["files:/files"],
            "configs": ["ca"],
            "secrets": ["KEY"],
            "depends_on": ["cache"],
            "healthcheck": {"test": "true"},
        },
        "seed": {
            "image": "r/seed:1",
            "networks": ["back"],
            "restart": "no",
            "depends_on": ["base"],
            "healthcheck": UNWATCHED,
        },
        "job": {"image": "r/job:${RELEASE}", "networks": ["back"], "healthcheck": UNWATCHED},
        "cache": {
            "image": "r/redis:7",
            "networks": ["back"],
            "volumes": ["cache:/data"],
            "depends_on": {"base": {"condition": "service_healthy"}, "seed": {"condition": COMPLETED}},
            "healthcheck": UNWATCHED,
        },
        "base": {"image": "r/base:1", "networks": ["back"], "secrets": ["KEY"], "healthcheck": {"test": "true"}},
    },
    "networks": {"back": {"internal": True}, "edge": {"external": True}},
    "volumes": {"files": {}, "cache": {}},
    "configs": {"ca": {"content": "one"}},
    "secrets": {"KEY": {"environment": "KEY"}},
    "x-ops": {"releases": ["web", "job"], "routes": [{"name": "w", "hosts": "shop.lab", "service": "web", "port": 80}]},
}
TOOLS_TREE: dict[str, Any] = {
    "name": "tools",
    "services": {
        "a": {"image": "r/redis:7", "depends_on": ["b"], "healthcheck": UNWATCHED},
        "b": {"image": "r/tool:1", "configs": ["settings"], "healthcheck": UNWATCHED},
    },
    "configs": {"settings": {"content": "x"}},
}
SHA = "sha-1111111"


def wanted(tree: dict[str, Any], *, mark: str = "m1", baseline: str = "") -> WantedStack:
    """A declared stack with a digest for everything it names."""
    stack = parse_tree(tree)
    digests = {service.image: f"sha256:{service.name}" for service in stack.accessories}
    digests |= {service.name: f"sha256:{service.name}" for service in stack.released}
    return WantedStack(stack, digests, baseline, dict.fromkeys(stack.secrets, mark))


def estate(*, mark: str = "m1", shop: dict[str, Any] | None = None, baseline: str = SHA) -> list[WantedStack]:
    """All three stacks."""
    shop_stack = wanted(shop or SHOP_TREE, mark=mark, baseline=baseline)
    return [shop_stack, wanted(TOOLS_TREE), wanted(EDGE_TREE)]


def marks(stacks: list[WantedStack]) -> dict[str, dict[str, str]]:
    """The marks of the secret values that a step may place."""
    return {one.stack.name: dict(one.secret_marks) for one in stacks}


def bare(stacks: list[WantedStack]) -> SimulatedHost:
    """A host with nothing of ours, and something of others."""
    host = SimulatedHost(networks={"bridge": ObservedNetwork(), "theirs": ObservedNetwork()}, volumes={"theirs": ""})
    host.wanted_marks = marks(stacks)
    return host


__all__ = ["ENVIRONMENT", "SHA", "SHOP_TREE", "UNWATCHED", "bare", "estate", "marks", "release_of", "wanted"]
