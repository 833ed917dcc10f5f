"""Whether what a stack file names is there, and whether its parts fit each other."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from .database import reject_unknown_references
from .document import Node
from .health import COMPLETED, HEALTHY, NONE
from .host_path import of_the_edge
from .service import Service
from .switching import refuse_contradictions

if TYPE_CHECKING:
    from .stack import Stack

_RELEASED_IMAGE = r":(\$\{RELEASE\}|sha-[0-9a-f]{7,40})$"
_EDGE = "edge"
# What a service's name ends in while a container stands beside the one in service, and what that container is.
_BESIDE = {"-next": "replacement", "-replaced": "replacement", "-task": "task"}


def check_references(stack: Stack, keys: Mapping[str, Node]) -> None:
    """Collect an error for each name that leads nowhere and each pair that contradicts itself.

    It is run on files that have other faults too. So a name that could not be read (it is empty) is passed over, and
    so is whatever refers into a section that could not be read.
    """
    services = keys["services"].mapping() if stack.services else {}
    for service in stack.services.values():
        node = services[service.name]
        _check_own_name(stack, service, node)
        _check_names(stack, service, node, keys)
        _check_edge(stack, service, node)
        _check_dependencies(stack, service, node)
        _check_release(stack, service, node)
    _check_ports(stack, services)
    if "x-ops" in keys and isinstance(keys["x-ops"].value, Mapping):
        _check_ops(stack, keys["x-ops"], keys)


def _unreadable(keys: Mapping[str, Node], section: str) -> bool:
    return section in keys and not isinstance(keys[section].value, (Mapping, type(None)))


def _check_own_name(stack: Stack, service: Service, node: Node) -> None:
    for end, what in _BESIDE.items():
        other = service.name.removesuffix(end)
        if other != service.name and other in stack.services:
            node.reject(f"the name is what a {what} of '{other}' is called", "name one of the two services otherwise")


def _check_edge(stack: Stack, service: Service, node: Node) -> None:
    """Only the edge has the certificates' keys, and the routes of everybody. A name that is missing is told before."""
    for mount in service.mounts:
        if mount.kind == "bind" and of_the_edge(mount.source) and stack.name not in ("", _EDGE):
            node.child("volumes", None).reject(
                f"{mount.source} belongs to the stack '{_EDGE}': keys of certificates and the routes of all stacks",
                "take it away; routes are said under x-ops.routes",
            )


def _check_names(stack: Stack, service: Service, node: Node, keys: Mapping[str, Node]) -> None:
    used: list[tuple[str, str, Collection[str]]] = [("network", a.network, stack.networks) for a in service.networks]
    used += [("volume", m.source, stack.volumes) for m in service.mounts if m.kind == "volume"]
    used += [("config", f.source, stack.configs) for f in service.files if f.kind == "config"]
    used += [("secret", f.source, stack.secrets) for f in service.files if f.kind == "secret"]
    used += [("service", name, stack.services) for name in service.depends_on]
    for kind, name, known in used:
        if name and name not in known and not _unreadable(keys, f"{kind}s"):
            place = "depends_on" if kind == "service" else f"{kind}s"
            node.child(place, None).reject(f"there is no {kind} '{name}'", f"declare it under {kind}s:")


def _check_dependencies(stack: Stack, service: Service, node: Node) -> None:
    place = node.child("depends_on", None)
    if service.name in _waited_for(stack, service.name):
        place.reject(
            f"'{service.name}' waits for itself, directly or through others", "take one of the dependencies away"
        )
    for name, condition in service.depends_on.items():
        other = stack.services.get(name)
        if other is None:
            continue
        if condition == HEALTHY and other.healthcheck and other.healthcheck.test == NONE:
            place.child(name, None).reject(f"'{name}' is never healthy: its check is disabled", "give it a healthcheck")
        if condition == COMPLETED and other.restart in ("always", "unless-stopped"):
            place.child(name, None).reject(
                f"'{name}' never completes: the engine starts it again", f"write restart: no at '{name}'"
            )
        if condition == COMPLETED and name in stack.ops.releases:
            place.child(name, None).reject(
                f"'{name}' is released, and a release has to stay", "let x-ops.migrate do what has to end first"
            )


def _check_release(stack: Stack, service: Service, node: Node) -> None:
    if service.name not in stack.ops.releases:
        return
    if service.image and not re.search(_RELEASED_IMAGE, service.image):
        node.child("image", None).reject("the image of a released service ends in :${RELEASE}")
    if service.ports:
        node.child("ports", None).reject(
            "a released service cannot publish a port: two releases run side by side", "give it a route under x-ops"
        )


def _check_ports(stack: Stack, services: Mapping[str, Node]) -> None:
    seen = [(service.name, port) for service in stack.services.values() for port in service.ports]
    for at, (name, port) in enumerate(seen):
        for other, earlier in seen[:at]:
            if other != name and port.published and port.collides(earlier):
                services[name].child("ports", None).reject(
                    f"port {port.published}/{port.protocol} is published by '{other}' too", "publish it once"
                )


def _check_ops(stack: Stack, node: Node, keys: Mapping[str, Node]) -> None:
    ops = stack.ops
    used: list[tuple[str, str, str, Collection[str]]] = [
        ("releases", "service", n, stack.services) for n in ops.releases
    ]
    used += [("routes", "service", route.service, stack.services) for route in ops.routes]
    used += [("migrate", "released service", ops.migrate.service, ops.releases)] if ops.migrate else []
    used += [("backup", "volume", name, stack.volumes) for name in (ops.backup.volumes if ops.backup else ())]
    for key, kind, name, known in used:
        if name and name not in known and not _unreadable(keys, f"{kind.split()[-1]}s"):
            there_are = f"there are: {', '.join(sorted(known))}" if known else f"declare one under {kind.split()[-1]}s:"
            node.child(key, None).reject(f"there is no {kind} '{name}'", there_are)
    refuse_contradictions(node, ops.standby, ops.standby_for, ops.assets)
    for test in ops.smoke:
        for name in test.login.secrets() if test.login else ():
            if name not in stack.secrets and not _unreadable(keys, "secrets"):
                node.child("smoke", None).reject(f"there is no secret '{name}'", "declare it under secrets:")
    if ops.routes and not node.value.get("releases"):
        node.child("routes", None).reject("routes are placed by a release", "name the service under x-ops.releases")
    if ops.database:
        reject_unknown_references(
            node.child("database", node.value.get("database")),
            ops.database,
            services=stack.services,
            configs=stack.configs,
            secrets=stack.secrets,
        )


def _waited_for(stack: Stack, name: str) -> set[str]:
    """Every service that a service waits for, directly or through others."""
    found: set[str] = set()
    pending = list(stack.services[name].depends_on)
    while pending:
        current = pending.pop()
        if current not in found and current in stack.services:
            found.add(current)
            pending += stack.services[current].depends_on
    return found
