"""What a stack wants to be reached by: host names and a path, led to a port of one of its services."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .document import Node
from .vocabulary import Key, Keys

PUBLIC = "public"
INTERNAL = "internal"
ENTRY_POINTS = (PUBLIC, INTERNAL)

_NAME = r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?"
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# No character that ends a rule's quoting or changes meaning on its way through a proxy.
_PREFIX = r"(/[A-Za-z0-9._~-]+)*"


@dataclass(frozen=True)
class Route:
    """Requests for ``hosts`` whose path lies at or below ``path_prefix`` go to ``port`` of ``service``.

    ``hosts`` are lower-case domain names, the first is the one smoke tests use. An empty ``path_prefix`` takes every
    path that no longer prefix takes. ``entrypoint`` is "public" (TLS, from outside) or "internal" (plain HTTP, only for
    other stacks of the same host).
    """

    name: str
    hosts: tuple[str, ...]
    service: str
    port: int
    path_prefix: str = ""
    entrypoint: str = PUBLIC

    @property
    def claims(self) -> tuple[tuple[str, str, str], ...]:
        """What nobody else may have: (entry point, host, path prefix) for every host."""
        return tuple((self.entrypoint, host, self.path_prefix) for host in self.hosts)

    def takes(self, host: str, path: str) -> bool:
        """Whether a request for this host and path (with or without a query) is this route's, seen alone."""
        bare = path.partition("?")[0]
        return host.lower() in self.hosts and (
            not self.path_prefix or bare == self.path_prefix or bare.startswith(self.path_prefix + "/")
        )


ROUTE_KEYS = Keys(
    Key("name", "text", "Its name within the stack", required=True),
    Key("hosts", "list | text with commas", "Domain names, the first for smoke tests", required=True),
    Key("service", "service", "Who answers", required=True),
    Key("port", "number", "On which port of its own", required=True),
    Key("path_prefix", "path", "Only requests at or below this path"),
    Key(
        "entrypoint", " | ".join(ENTRY_POINTS), "From outside with TLS, or for other stacks of the host", default=PUBLIC
    ),
)


def route_for(routes: Iterable[Route], host: str, path: str) -> Route | None:
    """The route that takes a request: the longest prefix wins, as on the edge."""
    takers = [route for route in routes if route.takes(host, path)]
    return max(takers, key=lambda route: len(route.path_prefix), default=None)


def parse_routes(node: Node) -> tuple[Route, ...]:
    """Read ``x-ops.routes``, a list of mappings. Errors are collected in the node, as everywhere in the model."""
    routes: list[Route] = []
    for entry in node.items():
        route = parse_route(entry)
        _refuse_clash(entry, route, routes)
        routes.append(route)
    return tuple(routes)


def parse_route(node: Node) -> Route:
    """Read one route. ``hosts`` is a list or one text with commas, as an environment's variable gives it."""
    keys = ROUTE_KEYS.of(node)
    for needed in ("name", "service", "port"):
        if needed not in keys or keys[needed].value in (None, ""):
            node.reject(f"a route needs '{needed}'", f"add '{needed}:' to this route")
    return Route(
        name=_key(node, keys, "name").text(pattern=_NAME, hint="a name of lower-case letters, digits and dashes"),
        hosts=parse_hosts(_key(node, keys, "hosts")),
        service=_key(node, keys, "service").text(),
        port=_key(node, keys, "port").integer(least=1, most=65535),
        path_prefix=_prefix(_key(node, keys, "path_prefix")),
        entrypoint=_key(node, keys, "entrypoint").choice(ENTRY_POINTS, PUBLIC),
    )


def parse_hosts(node: Node) -> tuple[str, ...]:
    """Read domain names from a list or a comma separated text; at least one, none twice."""
    named = node.texts(split=",")
    if node.value in (None, "", [], ()) or (isinstance(node.value, str) and not named):
        node.reject("no host is named", "name at least one domain, or take the route away")
    for host in dict.fromkeys(named):
        fault = host_fault(host)
        if fault:
            node.reject(f"host '{host}' {fault[0]}", fault[1])
        if named.count(host) > 1:
            node.reject(f"host '{host}' is named {named.count(host)} times", "name it once")
    return tuple(dict.fromkeys(host for host in named if not host_fault(host)))


def host_fault(host: str) -> tuple[str, str] | None:
    """Why a text cannot be a route's host and what to write instead, or None when it can."""
    if "*" in host:
        return (
            "is a wildcard, and its certificate cannot be had by an HTTP challenge",
            "name every host; tenants come from the environment's variable",
        )
    if host != host.lower():
        return ("has capital letters", f"write '{host.lower()}'")
    if "://" in host or "/" in host or ":" in host:
        return ("is an address, not a host name", "write the domain alone, without scheme, port or path")
    labels = host.split(".")
    if len(labels) < 2 or len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return ("is not a domain name", "write it like shop.example.com; other alphabets in their xn-- form")
    if labels[-1].isdigit():
        return ("is an IP address, and routes go by name", "name the domain that points to this address")
    return None


def _key(node: Node, keys: dict[str, Node], name: str) -> Node:
    return keys[name] if name in keys else node.child(name, None)


def _prefix(node: Node) -> str:
    if node.value == "/":
        return ""
    return node.text(pattern=_PREFIX, hint="a path such as /websocket, without a slash at its end")


def _refuse_clash(node: Node, route: Route, earlier: list[Route]) -> None:
    for other in earlier:
        if route.name and other.name == route.name:
            node.reject(f"two routes are named '{route.name}'", "give each route its own name")
        for _, host, prefix in sorted(set(route.claims) & set(other.claims)):
            node.reject(
                f"'{host}{prefix or '/'}' is already taken by route '{other.name}'",
                "give one of them another host or path_prefix",
            )
