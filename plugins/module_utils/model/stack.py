"""A stack: services that live and are released together. Its file is its definition, the same in every environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .backup import BackupPolicy, parse_backup
from .database import Database, parse_database, reject_unknown_references
from .document import Node
from .route import Route, parse_routes
from .service import COMPLETED, NAME_PATTERN, Attachment, Service, parse_service
from .smoke import SmokeTest, parse_smoke

RELEASE_MARK = "${RELEASE}"
_STACK_NAME = r"[a-z0-9][a-z0-9-]*"
_SECRET_NAME = r"[A-Z][A-Z0-9_]*"
_RELEASED_IMAGE = r":(\$\{RELEASE\}|sha-[0-9a-f]{7,40})$"


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
class Migration:
    """How the stack migrates its schema: a command in the image of ``service``; ``timeout`` in seconds."""

    service: str
    command: tuple[str, ...]
    timeout: float = 600


@dataclass(frozen=True)
class Ops:
    """What Compose cannot say (``x-ops``). ``drain_limit`` in seconds."""

    summary: str = ""
    releases: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    release_header: str = "X-Release"
    smoke: tuple[SmokeTest, ...] = ()
    database: Database | None = None
    migrate: Migration | None = None
    backup: BackupPolicy | None = None
    drain_limit: float = 30
    standby: str = "running"


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
    keys = node.mapping(("name", "services", "networks", "volumes", "configs", "secrets", "x-ops"))
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
    ops = _ops(keys["x-ops"]) if "x-ops" in keys else Ops()
    stack = Stack(name, services, networks, volumes, configs, secrets, ops, node.value if keys else {})
    if not node.errors:
        _check_references(stack, keys)
    node.finish()
    return stack


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
    found = node.mapping(("external", "internal", "name"))
    external = found["external"].boolean() if "external" in found else False
    internal = found["internal"].boolean() if "internal" in found else False
    named = found["name"].text() if "name" in found else ""
    return Network(named or (key if external else f"{stack}_{key}"), external, internal)


def _volume(stack: str, key: str, node: Node) -> Volume:
    found = node.mapping(("name",))
    return Volume(found["name"].text() if "name" in found else f"{stack}_{key}")


def _config(node: Node) -> str:
    found = node.mapping(("content",))
    if "content" not in found:
        node.reject("a config needs content", "write content: | followed by the text (${NAME} is resolved in it)")
        return ""
    return found["content"].text()


def _secret(name: str, node: Node) -> str:
    found = node.mapping(("environment",))
    if "environment" not in found or found["environment"].text() != name:
        node.reject("a secret is named after the environment's secret it takes", f"write environment: {name}")
    return name


def _in_default_network(service: Service) -> Service:
    return service if service.networks else replace(service, networks=(Attachment("default"),))


def _ops(node: Node) -> Ops:
    return Ops(**{key: _OPS_READERS[key](value) for key, value in node.mapping(_OPS_READERS).items()})


def _migration(node: Node) -> Migration:
    keys = node.mapping(("service", "command", "timeout"))
    if "service" not in keys or "command" not in keys:
        node.reject("a migration needs service and command")
        return Migration("", ())
    timeout = keys["timeout"].seconds() if "timeout" in keys else 600
    return Migration(keys["service"].text(), keys["command"].texts(), timeout)


def _once(node: Node, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            node.reject(f"'{name}' is named twice", "name it once")
    return tuple(dict.fromkeys(names))


_OPS_READERS: dict[str, Callable[[Node], Any]] = {
    "summary": lambda node: node.text(),
    "releases": lambda node: _once(node, node.texts()),
    "routes": parse_routes,
    "release_header": lambda node: node.text(Ops.release_header, pattern=r"[A-Za-z0-9-]+", hint="a header's name"),
    "smoke": parse_smoke,
    "database": parse_database,
    "migrate": _migration,
    "backup": parse_backup,
    "drain_limit": lambda node: node.seconds(Ops.drain_limit),
    "standby": lambda node: node.choice(("running", "stopped"), "running"),
}


def _check_references(stack: Stack, keys: Mapping[str, Node]) -> None:
    services = keys["services"].mapping()
    for service in stack.services.values():
        _check_service(stack, service, services[service.name])
    if "x-ops" in keys:
        _check_ops(stack, keys["x-ops"])


def _check_ops(stack: Stack, node: Node) -> None:
    ops = stack.ops
    used: list[tuple[str, str, str, Collection[str]]] = [
        ("releases", "service", n, stack.services) for n in ops.releases
    ]
    used += [("routes", "service", route.service, stack.services) for route in ops.routes]
    used += [("migrate", "released service", ops.migrate.service, ops.releases)] if ops.migrate else []
    used += [("backup", "volume", name, stack.volumes) for name in (ops.backup.volumes if ops.backup else ())]
    for key, kind, name, known in used:
        if name not in known:
            there_are = f"there are: {', '.join(sorted(known))}" if known else f"declare one under {kind.split()[-1]}s:"
            node.child(key, None).reject(f"there is no {kind} '{name}'", there_are)
    if ops.routes and not ops.releases:
        node.child("routes", None).reject("routes are placed by a release", "name the service under x-ops.releases")
    if ops.database:
        reject_unknown_references(
            node.child("database", node.value.get("database")),
            ops.database,
            services=stack.services,
            configs=stack.configs,
            secrets=stack.secrets,
        )


def _check_service(stack: Stack, service: Service, node: Node) -> None:
    used: list[tuple[str, str, Container[str]]] = [("network", a.network, stack.networks) for a in service.networks]
    used += [("volume", m.source, stack.volumes) for m in service.mounts if m.kind == "volume"]
    used += [("config", f.source, stack.configs) for f in service.files if f.kind == "config"]
    used += [("secret", f.source, stack.secrets) for f in service.files if f.kind == "secret"]
    used += [("service", name, stack.services) for name in service.depends_on]
    for kind, name, known in used:
        if name not in known:
            node.reject(f"there is no {kind} '{name}'", f"declare it under {kind}s:")
    if service.name in stack.ops.releases and not re.search(_RELEASED_IMAGE, service.image):
        node.child("image", None).reject("the image of a released service ends in :${RELEASE}")
    if service.name in stack.ops.releases and service.ports:
        node.child("ports", None).reject(
            "a released service cannot publish a port: two releases run side by side", "give it a route under x-ops"
        )
    if service.name in _waited_for(stack, service.name):
        node.child("depends_on", None).reject(
            f"'{service.name}' waits for itself, directly or through others", "take one of the dependencies away"
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


__all__ = ["Migration", "Network", "Ops", "Stack", "Volume", "parse_stack", "parse_tree", "with_release"]
