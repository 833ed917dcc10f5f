"""A stack: services that live and are released together. Its file is its definition, the same in every environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .backup import BackupPolicy, parse_backup
from .database import Database, parse_database, reject_unknown_references
from .document import Node
from .errors import OpsError
from .route import Route, parse_routes
from .service import NAME_PATTERN, Attachment, Service, parse_service
from .smoke import SmokeTest, parse_smoke

RELEASE_MARK = "${RELEASE}"
OPS_KEYS = (
    "summary",
    "releases",
    "routes",
    "release_header",
    "smoke",
    "database",
    "migrate",
    "backup",
    "drain_limit",
    "standby",
)


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
    """A whole stack file. ``configs`` and ``secrets`` map a name to its content and to itself; ``tree`` is the source."""

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
    keys = node.mapping(("name", "services", "networks", "volumes", "configs", "secrets", "x-ops"))
    name = keys["name"].text(pattern=NAME_PATTERN, hint="a stack name") if "name" in keys else ""
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
    return keys[name].mapping() if name in keys else {}


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
    keys = node.mapping(OPS_KEYS)
    read: dict[str, Any] = {}
    if "summary" in keys:
        read["summary"] = keys["summary"].text()
    if "releases" in keys:
        read["releases"] = keys["releases"].texts()
    if "routes" in keys:
        read["routes"] = parse_routes(keys["routes"])
    if "release_header" in keys:
        read["release_header"] = keys["release_header"].text()
    if "smoke" in keys:
        read["smoke"] = parse_smoke(keys["smoke"])
    if "database" in keys:
        read["database"] = parse_database(keys["database"])
    if "migrate" in keys:
        read["migrate"] = _migration(keys["migrate"])
    if "backup" in keys:
        read["backup"] = parse_backup(keys["backup"])
    if "drain_limit" in keys:
        read["drain_limit"] = keys["drain_limit"].seconds()
    if "standby" in keys:
        read["standby"] = keys["standby"].choice(("running", "stopped"), "running")
    return Ops(**read)


def _migration(node: Node) -> Migration:
    keys = node.mapping(("service", "command", "timeout"))
    if "service" not in keys or "command" not in keys:
        node.reject("a migration needs service and command")
        return Migration("", ())
    timeout = keys["timeout"].seconds() if "timeout" in keys else 600
    return Migration(keys["service"].text(), keys["command"].texts(), timeout)


def _check_references(stack: Stack, keys: Mapping[str, Node]) -> None:
    services = keys["services"].mapping()
    for service in stack.services.values():
        _check_service(stack, service, services[service.name])
    ops = keys["x-ops"] if "x-ops" in keys else None
    if ops is None:
        return
    for name in stack.ops.releases:
        if name not in stack.services:
            ops.child("releases", None).reject(f"there is no service '{name}'")
    for route in stack.ops.routes:
        if route.service not in stack.services:
            ops.child("routes", None).reject(f"route '{route.name}' names service '{route.service}', which is not there")
    if stack.ops.migrate and stack.ops.migrate.service not in stack.ops.releases:
        ops.child("migrate", None).reject("a migration runs in a released service", "name one of x-ops.releases")
    for volume in stack.ops.backup.volumes if stack.ops.backup else ():
        if volume not in stack.volumes:
            ops.child("backup", None).reject(f"there is no volume '{volume}'")
    if stack.ops.database:
        reject_unknown_references(
            ops.child("database", ops.value.get("database")),
            stack.ops.database,
            services=stack.services,
            configs=stack.configs,
            secrets=stack.secrets,
        )


def _check_service(stack: Stack, service: Service, node: Node) -> None:
    used = [("network", a.network, stack.networks) for a in service.networks]
    used += [("volume", m.source, stack.volumes) for m in service.mounts if m.kind == "volume"]
    used += [("config", f.source, stack.configs) for f in service.files if f.kind == "config"]
    used += [("secret", f.source, stack.secrets) for f in service.files if f.kind == "secret"]
    used += [("service", name, stack.services) for name in service.depends_on]
    for kind, name, known in used:
        if name not in known:
            node.reject(f"there is no {kind} '{name}'", f"declare it under {kind}s:")
    if service.name in stack.ops.releases and RELEASE_MARK not in str(node.value.get("image", "")):
        if not re.search(r":sha-[0-9a-f]{7,40}$", service.image):
            node.child("image", None).reject("the image of a released service ends in :${RELEASE}")
    for name in service.depends_on:
        if service.name in stack.services[name].depends_on if name in stack.services else False:
            node.child("depends_on", None).reject(f"'{service.name}' and '{name}' wait for each other")


def released_stack(tree: Mapping[str, Any], release: str) -> Stack:
    """A stack at one release, parsed from its tree."""
    stack = parse_tree(with_release(tree, release), f"stack file at {release}")
    if not stack.ops.releases:
        raise OpsError(
            f"stack '{stack.name}' has no released service",
            where="x-ops.releases",
            do="name the services that a release replaces",
        )
    return stack


__all__ = ["Migration", "Network", "Ops", "Stack", "Volume", "parse_stack", "parse_tree", "with_release"]
