"""Let the old release answer for files that the new one does not know, for a while after a switch: pure.

A page that was open before a switch asks for its own scripts, by names that only its own release has. For the declared
paths the edge asks the new release first, and the old one where that answers 404: Traefik's ``failover`` service with
``errors.status`` (3.7, https://github.com/traefik/traefik/pull/12596). Only these paths, and only reading: every other
request goes the plain way, without a second look at its answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..model.route import Route
from ..model.stack import Stack
from ..model.switching import Asset
from .edge import Config, router_for, router_name, service_for

OLD, OR_OLD = ".old", ".or-old"
"""Ends of the names of an old release's service, and of the failover to it: no route's name has a dot."""

NOT_THERE = "404"


def with_old_assets(
    config: Config,
    stack: str,
    routes: Sequence[Route],
    assets: Sequence[Asset],
    old_routes: Iterable[Route],
    old_addresses: Mapping[str, str],
    *,
    cert_resolver: str | None,
) -> Config:
    """``config`` (of :func:`compile_stack`), with the old release behind the new one at the assets' paths.

    ``old_routes`` and ``old_addresses`` are the old release's own; a route that it did not have has nothing old.
    """
    before = {route.name: route for route in old_routes if route.service in old_addresses}
    http: dict[str, dict[str, Any]] = {section: dict(entries) for section, entries in config.get("http", {}).items()}
    for route in routes:
        paths = [asset.path for asset in assets if _takes(route, asset.path, routes)]
        if not paths or route.name not in before:
            continue
        name, old = router_name(stack, route), before[route.name]
        http["services"][name + OLD] = service_for(stack, old_addresses[old.service], old.port)
        fails_over = {"service": name, "fallback": name + OLD, "errors": {"status": [NOT_THERE]}}
        http["services"][name + OR_OLD] = {"failover": fails_over}
        for path in paths:
            http["routers"][name + _mark(path)] = router_for(stack, name + OR_OLD, route, cert_resolver, assets_at=path)
    return {**config, "http": http} if config else config


def without_old_assets(config: Config) -> Config:
    """The same configuration as it is when nothing old is behind it."""
    http = config.get("http")
    if not http:
        return config
    services = {name: one for name, one in http["services"].items() if not name.endswith((OLD, OR_OLD))}
    routers = {name: one for name, one in http["routers"].items() if one["service"] in services}
    return {**config, "http": {**http, "routers": routers, "services": services}}


def has_old_assets(config: Mapping[str, Any]) -> bool:
    """Whether an old release still answers for something."""
    return any(name.endswith(OR_OLD) for name in config.get("http", {}).get("services", {}))


def as_placed(
    config: Config,
    placed: Mapping[str, Any],
    stack: Stack,
    old: Stack,
    old_addresses: Mapping[str, str],
    resolver: str | None,
) -> Config:
    """``config`` with the old release behind it, for those assets for which a placed one has routers of their own."""
    kept = still_kept(placed, stack.ops.assets)
    routes, before = stack.ops.routes, old.ops.routes
    return with_old_assets(config, stack.name, routes, kept, before, old_addresses, cert_resolver=resolver)


def still_kept(placed: Mapping[str, Any], assets: Iterable[Asset]) -> tuple[Asset, ...]:
    """Those of the assets for whose paths a configuration has routers of their own."""
    routers = placed.get("http", {}).get("routers", {})
    return tuple(asset for asset in assets if any(name.endswith(_mark(asset.path)) for name in routers))


def due(assets: Iterable[Asset], seconds: float) -> tuple[Asset, ...]:
    """The assets that are still answered for, ``seconds`` after the switch."""
    return tuple(asset for asset in assets if asset.seconds > seconds)


def _mark(path: str) -> str:
    return path.replace("/", ".")


def _takes(route: Route, path: str, routes: Sequence[Route]) -> bool:
    """Whether what lies below a path is this route's, and not that of one with a longer prefix."""
    longer = (other for other in routes if len(other.path_prefix) > len(route.path_prefix))
    taken = any(_below(path, other.path_prefix) and set(other.hosts) & set(route.hosts) for other in longer)
    return _below(path, route.path_prefix) and not taken


def _below(path: str, prefix: str) -> bool:
    return not prefix or f"{path}/".startswith(f"{prefix}/")
