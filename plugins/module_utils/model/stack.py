"""A stack: services that live and are released together. Its file is its definition, the same in every environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .document import Node
from .health import COMPLETED
from .ops import OPS_KEYS, Migration, Ops
from .references import check_references
from .service import NAME_PATTERN, Attachment, Service, parse_service
from .stack_keys import CONFIG_KEYS, NETWORK_KEYS, SECRET_KEYS, STACK_KEYS, VOLUME_KEYS
from .vocabulary import EXTENSION

RELEASE_MARK = "${RELEASE}"
_STACK_NAME = r"[a-z0-9][a-z0-9-]*"
_SECRET_NAME = r"[A-Z][A-Z0-9_]*"
# What the engine means by these is a network of its own, or the host's.
_NETWORKS_OF_THE_ENGINE = ("host", "bridge", "none", "default")


@dataclass(frozen=True)
class Network:
    """``name`` is what the engine calls it. An external network is shared and made by the stack that owns it."""

    name: str
    external: bool = False
    internal: bool = False


@dataclass(frozen=True)
class Volume:
    """A named volume, by the name the engine gives it. Data: never removed by a plan."""

    name: str


@dataclass(frozen=True)
class Stack:
    """A whole stack file. ``configs`` maps a name to its content; ``tree`` is what it was parsed from."""

    name: str
    services: Mapping[str, Service]
    networks: Mapping[str, Network]
    volumes: Mapping[str, Volume]
    configs: Mapping[str, str]
    secrets: tuple[str, ...]
    ops: Ops
    tree: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def accessories(self) -> tuple[Service, ...]:
        """Services that a release does not replace."""
        return tuple(service for service in self.services.values() if service.name not in self.ops.releases)

    @property
    def released(self) -> tuple[Service, ...]:
        """Services that a release replaces, the routed one first."""
        return tuple(self.services[name] for name in self.ops.releases)

    @property
    def jobs(self) -> frozenset[str]:
        """Services that run to their end: somebody waits for that."""
        return frozenset(
            name for service in self.services.values() for name, how in service.depends_on.items() if how == COMPLETED
        )

    def network_of(self, name: str) -> str:
        """The engine's name of a network that a service attaches to."""
        return self.networks[name].name

    def start_order(self) -> tuple[Service, ...]:
        """Services so that each comes after those it depends on."""
        ordered: dict[str, Service] = {}

        def visit(service: Service) -> None:
            for name in service.depends_on:
                if name not in ordered:
                    visit(self.services[name])
            ordered.setdefault(service.name, service)

        for service in self.services.values():
            visit(service)
        return tuple(ordered.values())


def with_release(tree: Any, release: str) -> Any:
    """The same tree with ``${RELEASE}`` replaced by a sha tag everywhere it stands."""
    if isinstance(tree, str):
        return tree.replace(RELEASE_MARK, release)
    if isinstance(tree, Mapping):
        return {key: with_release(value, release) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [with_release(value, release) for value in tree]
    return tree


def parse_stack(node: Node) -> Stack:
    """Read a stack file.

    Raises InvalidInput with everything that is wrong, each with its path and line.
    """
    if node.value is not None and not isinstance(node.value, Mapping):
        node.mapping()
        node.finish()
    keys = STACK_KEYS.of(node)
    name = keys["name"].text(pattern=_STACK_NAME, hint="a stack name") if "name" in keys else ""
    if not name:
        node.reject("a stack needs a name", "add name: <stack>")
    if "services" not in keys or not keys["services"].value:
        node.reject("a stack needs services")
    services = {key: parse_service(key, value) for key, value in _section(keys, "services").items()}
    networks = {key: _network(name, key, value) for key, value in _section(keys, "networks").items()}
    volumes = {key: _volume(name, key, value) for key, value in _section(keys, "volumes").items()}
    configs = {key: _config(value) for key, value in _section(keys, "configs").items()}
    secrets = tuple(_secret(key, value) for key, value in _section(keys, "secrets").items())
    services = {key: _in_default_network(service) for key, service in services.items()}
    if any(a.network == "default" for service in services.values() for a in service.networks):
        networks.setdefault("default", Network(f"{name}_default"))
    ops = Ops(**OPS_KEYS.read(keys["x-ops"])) if "x-ops" in keys else Ops()
    stack = Stack(name, services, networks, volumes, configs, secrets, ops, _own_keys_away(node.value or {}))
    check_references(stack, keys)
    node.finish()
    return stack


def _own_keys_away(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Keys that begin with ``x-`` are the author's own (anchors stand there), except ours: they need not travel."""
    return {key: value for key, value in tree.items() if key == "x-ops" or not str(key).startswith(EXTENSION)}


def parse_tree(tree: Mapping[str, Any], source: str = "stack file") -> Stack:
    """:func:`parse_stack` for a tree that came over the wire or from a record."""
    return parse_stack(Node(tree, source))


def _section(keys: Mapping[str, Node], name: str) -> dict[str, Node]:
    found = keys[name].mapping() if name in keys else {}
    # Names become paths and names at the engine.
    pattern = _SECRET_NAME if name == "secrets" else NAME_PATTERN
    for key, node in found.items():
        if name != "services" and not re.fullmatch(pattern, key):
            capital = "upper" if name == "secrets" else "lower"
            node.reject(f"'{key}' is not a {name[:-1]}'s name", f"use {capital}-case letters, digits and '_'")
    return found


def _network(stack: str, key: str, node: Node) -> Network:
    found = NETWORK_KEYS.read(node)
    external, internal = found.get("external", False), found.get("internal", False)
    if external and internal:
        node.reject("whether an external network is internal is said where it is made", "take internal away")
    name = found.get("name") or (key if external else f"{stack}_{key}")
    if name in _NETWORKS_OF_THE_ENGINE:
        place = node.child("name", None) if "name" in found else node
        place.reject(
            f"'{name}' is the engine's own network, no stack's (CIS 5.10, 5.30)",
            "give it a name of its own under name:, or take it away: a service that names none is on its stack's",
        )
    return Network(name, external, internal)


def _volume(stack: str, key: str, node: Node) -> Volume:
    return Volume(VOLUME_KEYS.read(node).get("name") or f"{stack}_{key}")


def _config(node: Node) -> str:
    found = CONFIG_KEYS.read(node)
    if "content" not in found:
        node.reject("a config needs content", "write content: | followed by the text (${NAME} is resolved in it)")
    return str(found.get("content", ""))


def _secret(name: str, node: Node) -> str:
    if SECRET_KEYS.read(node).get("environment") != name:
        node.reject("a secret is named after the environment's secret it takes", f"write environment: {name}")
    return name


def _in_default_network(service: Service) -> Service:
    return service if service.networks else replace(service, networks=(Attachment("default"),))


__all__ = ["Migration", "Network", "Ops", "Stack", "Volume", "parse_stack", "parse_tree", "with_release"]
