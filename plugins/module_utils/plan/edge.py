"""Compile routes into Traefik's dynamic configuration, and find what is wrong with one before it is placed.

A stack's configuration is one document of its own: routers, services, a middleware and a servers transport, all named
``<stack>-<route>`` or ``<stack>``, so that placing or removing it touches nobody else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..model.errors import OpsError
from ..model.route import INTERNAL, PUBLIC, Route

Config = dict[str, Any]

BASE = "edge"
"""The name under which :func:`compile_base` is placed; no stack with routes may have it."""

_ENTRY_POINT = {PUBLIC: "websecure", INTERNAL: "internal"}

# Longer prefixes win whatever the length of the host list: Traefik's own order goes by the length of the whole rule.
_BASE_PRIORITY = 1000

# Idle connections to a backend live half a second. Less than any backend's own keep-alive limit we know of (gunicorn 2
# s, Node.js and uvicorn 5 s), so the backend is never the one to close and no request meets a closing connection (502);
# and that long after a switch every connection still established at the old container carries a request or a web
# socket, which makes the drain's count exact. A drain, and a rollback with it, takes this long at least. Turning reuse
# off (maxIdleConnsPerHost: -1) would do both as well, but leaves a socket in TIME_WAIT for a minute after each request:
# 470 requests a second use up all 28,000 ports. Measured on 2 cores with 5 s of load: 2275 requests/s and none left
# with reuse, 959 requests/s and 4459 left without.
IDLE_SECONDS = 0.5
_IDLE_PER_BACKEND = 200

# An accepted TCP connection is what a running container on the same host gives within milliseconds.
_DIAL_TIMEOUT = "2s"

_SECURITY_HEADERS: Mapping[str, Any] = {
    # Neither subdomains nor preload: the hosts are customers' domains, whose other names are not ours to promise for.
    "stsSeconds": 31_536_000,
    "contentTypeNosniff": True,
    "customFrameOptionsValue": "SAMEORIGIN",
    "referrerPolicy": "strict-origin-when-cross-origin",
    # An empty value removes the header: nobody needs to know which server in which version answers.
    "customResponseHeaders": {"Server": "", "X-Powered-By": ""},
}


def compile_stack(
    stack: str, routes: Iterable[Route], addresses: Mapping[str, str], *, cert_resolver: str | None
) -> Config:
    """The dynamic configuration that leads a stack's routes to these containers.

    ``addresses`` maps a service to the name or IP of the one container that serves it. With ``cert_resolver`` None
    public routers use the edge's default certificate. Pure: equal input, equal document, in the same order.
    Raises OpsError when a route's service has no address.
    """
    http: dict[str, dict[str, Any]] = {}
    for route in routes:
        if route.service not in addresses:
            raise OpsError(
                f"route '{route.name}' leads to service '{route.service}', which has no container",
                where=f"stack {stack}",
                do=f"start '{route.service}' first, or lead the route to one of: {', '.join(sorted(addresses)) or '-'}",
            )
        name = router_name(stack, route)
        http.setdefault("routers", {})[name] = router_for(stack, name, route, cert_resolver)
        http.setdefault("services", {})[name] = service_for(stack, addresses[route.service], route.port)
    if not http:
        return {}
    http["middlewares"] = {f"{stack}-headers": {"headers": dict(_SECURITY_HEADERS)}}
    http["serversTransports"] = {stack: _transport()}
    return {"http": http}


def compile_base() -> Config:
    """What holds for the whole edge. Placed as :data:`BASE` and never removed: Traefik ignores a configuration that
    became entirely empty, so without it the last router of the last stack could never be taken away."""
    return {"tls": {"options": {"default": {"minVersion": "VersionTLS12"}}}}


def router_name(stack: str, route: Route) -> str:
    """The name of a route's router and service on the edge."""
    return f"{stack}-{route.name}"


def rule(route: Route, assets_at: str = "") -> str:
    """The route in Traefik's rule language. A prefix ends at a slash: /web takes /web/x but not /website.

    With ``assets_at`` only reading below that path.
    """
    hosts = " || ".join(f"Host(`{host}`)" for host in route.hosts)
    if assets_at:
        return f"({hosts}) && PathPrefix(`{assets_at}/`) && (Method(`GET`) || Method(`HEAD`))"
    if not route.path_prefix:
        return hosts
    prefix = route.path_prefix
    return f"({hosts}) && (Path(`{prefix}`) || PathPrefix(`{prefix}/`))"


def router_for(
    stack: str, service: str, route: Route, cert_resolver: str | None, *, assets_at: str = ""
) -> dict[str, Any]:
    """A router of a route that leads to a service; with ``assets_at`` one for the files below that path of it."""
    router: dict[str, Any] = {
        "entryPoints": [_ENTRY_POINT[route.entrypoint]],
        "rule": rule(route, assets_at),
        # One more than a route with that prefix, less than any route below it, which has a slash and a letter more.
        "priority": _BASE_PRIORITY + (len(assets_at) + 1 if assets_at else len(route.path_prefix)),
        "service": service,
    }
    if route.entrypoint == PUBLIC:
        router["middlewares"] = [f"{stack}-headers"]
        router["tls"] = _tls(route, cert_resolver)
    return router


def _tls(route: Route, cert_resolver: str | None) -> dict[str, Any]:
    if cert_resolver is None:
        return {}
    # One certificate for each host: a customer's domain that fails its challenge must not cost the others theirs.
    return {"certResolver": cert_resolver, "domains": [{"main": host} for host in route.hosts]}


def service_for(stack: str, address: str, port: int) -> dict[str, Any]:
    """A service of one server."""
    host = f"[{address}]" if ":" in address else address
    return {
        "loadBalancer": {
            "servers": [{"url": f"http://{host}:{port}"}],
            "passHostHeader": True,
            "serversTransport": stack,
        }
    }


def _transport() -> dict[str, Any]:
    return {
        "maxIdleConnsPerHost": _IDLE_PER_BACKEND,
        "forwardingTimeouts": {"dialTimeout": _DIAL_TIMEOUT, "idleConnTimeout": f"{IDLE_SECONDS * 1000:.0f}ms"},
    }


# -- lint --------------------------------------------------------------------------------------------------------------

_SECTIONS = {"http", "tls"}
_HTTP_SECTIONS = {"routers", "services", "middlewares", "serversTransports"}
_HOST = re.compile(r"Host\(`([^`]*)`\)")
_URL = re.compile(r"http://(\[[0-9a-f:]+\]|[A-Za-z0-9][A-Za-z0-9._-]*):([0-9]{1,5})")


def lint(config: Config, where: str = "edge configuration") -> list[OpsError]:
    """Everything in one document that Traefik would refuse, ignore or take for something else. Empty when sound."""
    errors = [_error(f"'{key}' is not a section we write", where) for key in sorted(set(config) - _SECTIONS)]
    http = config.get("http", {})
    if not isinstance(http, Mapping):
        return [*errors, _error("'http' is not a mapping", where)]
    errors += [_error(f"'http.{key}' is not a section we write", where) for key in sorted(set(http) - _HTTP_SECTIONS)]
    for section in sorted(set(http) & _HTTP_SECTIONS):
        if not http[section]:
            # Traefik reads an empty section as an element without a name and refuses the whole directory.
            errors.append(_error(f"'http.{section}' is empty", where))
    for name, router in http.get("routers", {}).items():
        errors += _router_faults(name, router, http, where)
    for name, service in http.get("services", {}).items():
        errors += _service_faults(name, service, http, where)
    return errors


def lint_all(configs: Mapping[str, Config]) -> list[OpsError]:
    """:func:`lint` of every stack's document, and what two of them cannot both have: a name, a host at an entry point.

    A path below another stack's host is refused as well: the longer path wins, so it would take that stack's visitors,
    the ones on their way to the login included.
    """
    errors: list[OpsError] = []
    names: dict[tuple[str, str], str] = {}
    claims: dict[tuple[str, str], str] = {}
    for stack in sorted(configs):
        config = configs[stack]
        errors += lint(config, f"edge configuration of {stack}")
        for section, name in _names(config):
            owner = names.setdefault((section, name), stack)
            if owner != stack:
                errors.append(_error(f"http.{section} '{name}' is also defined by {owner}", f"stack {stack}"))
        for claim in sorted(_claims(config)):
            owner = claims.setdefault(claim, stack)
            if owner != stack:
                errors.append(
                    OpsError(
                        f"host '{claim[1]}' is already served by stack {owner}",
                        where=f"stack {stack}",
                        do="take the host from one of the two stacks: a request can only go to one of them",
                    )
                )
    return errors


def _router_faults(name: str, router: Mapping[str, Any], http: Mapping[str, Any], where: str) -> list[OpsError]:
    place = f"{where}, router {name}"
    errors: list[OpsError] = []
    if not _HOST.search(str(router.get("rule", ""))):
        errors.append(_error("the rule names no host, so it would take everybody's requests", place))
    if router.get("service") not in http.get("services", {}):
        errors.append(_error(f"service '{router.get('service')}' is not defined", place))
    for middleware in router.get("middlewares", []):
        if middleware not in http.get("middlewares", {}):
            errors.append(_error(f"middleware '{middleware}' is not defined", place))
    points = router.get("entryPoints") or []
    if len(points) != 1 or points[0] not in _ENTRY_POINT.values():
        errors.append(_error(f"entry points {points} are not one of {sorted(_ENTRY_POINT.values())}", place))
    elif (points[0] == _ENTRY_POINT[PUBLIC]) != ("tls" in router):
        errors.append(_error("TLS belongs on the public entry point and nowhere else", place))
    return errors


def _service_faults(name: str, service: Mapping[str, Any], http: Mapping[str, Any], where: str) -> list[OpsError]:
    place = f"{where}, service {name}"
    if "failover" in service:
        return _failover_faults(service["failover"], http, place)
    balancer = service.get("loadBalancer") or {}
    urls = [str(server.get("url", "")) for server in balancer.get("servers") or []]
    errors: list[OpsError] = []
    if len(urls) != 1:
        errors.append(_error(f"{len(urls)} servers are named, wanted exactly one", place))
    errors += [
        _error(f"'{url}' is not of the form http://container:port", place)
        for url in urls
        if not (match := _URL.fullmatch(url)) or not 1 <= int(match[2]) <= 65535
    ]
    transport = balancer.get("serversTransport")
    if transport is not None and transport not in http.get("serversTransports", {}):
        errors.append(_error(f"servers transport '{transport}' is not defined", place))
    return errors


def _failover_faults(failover: Mapping[str, Any], http: Mapping[str, Any], place: str) -> list[OpsError]:
    services = http.get("services", {})
    errors = [
        _error(f"{part} '{failover.get(part)}' is not a service with a server of its own", place)
        for part in ("service", "fallback")
        if "loadBalancer" not in services.get(failover.get(part), {})
    ]
    if not (failover.get("errors") or {}).get("status"):
        # Without it Traefik fails over on health checks, and there are none: the fallback would never be asked.
        errors.append(_error("no status is named on which the other service is asked", place))
    return errors


def _names(config: Config) -> Iterable[tuple[str, str]]:
    http = config.get("http", {})
    return [(section, name) for section in sorted(_HTTP_SECTIONS) for name in http.get(section, {})]


def _claims(config: Config) -> set[tuple[str, str]]:
    """Entry points with the hosts that are served there; Traefik compares hosts without regard to case."""
    return {
        (str(point), host.lower())
        for router in config.get("http", {}).get("routers", {}).values()
        for point in router.get("entryPoints", [])
        for host in _HOST.findall(str(router.get("rule", "")))
    }


def _error(what: str, where: str) -> OpsError:
    return OpsError(what, where=where, do="correct the stack file's routes and converge again")
