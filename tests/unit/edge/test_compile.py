"""Routes compiled for Traefik, and faults found before a file is placed."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.route import ENTRY_POINTS, INTERNAL, Route
from plugins.module_utils.plan.edge import Config, compile_base, compile_stack, lint, lint_all, rule

WEB = Route("web", ("a.example.com", "b.example.com"), "web", 8069)
BUS = Route("bus", ("a.example.com",), "web", 8072, "/websocket")
OCR = Route("api", ("ocr.internal",), "api", 8000, "", INTERNAL)
ADDRESSES = {"web": "odoo18-web-19b9b98-1", "api": "ocr-api-19b9b98-1"}


def compiled(*routes: Route, stack: str = "odoo18", cert_resolver: str | None = "acme") -> Config:
    return compile_stack(stack, routes, ADDRESSES, cert_resolver=cert_resolver)


def test_public_route() -> None:
    http = compiled(WEB)["http"]
    assert http["routers"]["odoo18-web"] == {
        "entryPoints": ["websecure"],
        "rule": "Host(`a.example.com`) || Host(`b.example.com`)",
        "priority": 1000,
        "service": "odoo18-web",
        "middlewares": ["odoo18-headers"],
        "tls": {"certResolver": "acme", "domains": [{"main": "a.example.com"}, {"main": "b.example.com"}]},
    }
    balancer = http["services"]["odoo18-web"]["loadBalancer"]
    assert balancer["servers"] == [{"url": "http://odoo18-web-19b9b98-1:8069"}]
    assert balancer["serversTransport"] in http["serversTransports"]


def test_without_a_resolver_the_default_certificate_serves() -> None:
    assert compiled(WEB, cert_resolver=None)["http"]["routers"]["odoo18-web"]["tls"] == {}


def test_internal_route_has_no_tls_and_no_browser_headers() -> None:
    router = compiled(OCR, stack="ocr")["http"]["routers"]["ocr-api"]
    assert router["entryPoints"] == ["internal"]
    assert "tls" not in router
    assert "middlewares" not in router


def test_prefix_ends_at_a_slash_and_wins_over_many_hosts() -> None:
    routers = compiled(WEB, BUS)["http"]["routers"]
    assert rule(BUS) == "(Host(`a.example.com`)) && (Path(`/websocket`) || PathPrefix(`/websocket/`))"
    assert routers["odoo18-bus"]["priority"] > routers["odoo18-web"]["priority"]


def test_idle_connections_end_before_a_backend_would_end_them() -> None:
    transport = compiled(WEB)["http"]["serversTransports"]["odoo18"]
    assert transport["forwardingTimeouts"]["idleConnTimeout"] == "500ms"


def test_ipv6_address_is_bracketed() -> None:
    config = compile_stack("s", [WEB], {"web": "fd00::2"}, cert_resolver=None)
    assert config["http"]["services"]["s-web"]["loadBalancer"]["servers"] == [{"url": "http://[fd00::2]:8069"}]
    assert lint(config) == []


def test_no_routes_no_configuration() -> None:
    assert compiled() == {}


def test_base_is_never_empty_and_sound() -> None:
    assert compile_base()
    assert lint(compile_base()) == []


def test_service_without_container_is_an_error() -> None:
    with pytest.raises(OpsError, match=r"route 'web' leads to service 'web', which has no container"):
        compile_stack("odoo18", [WEB], {"redis": "x"}, cert_resolver=None)


_LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
_HOST = st.builds(lambda *labels: ".".join(labels), _LABEL, _LABEL)
_ROUTE = st.builds(
    Route,
    name=_LABEL,
    hosts=st.lists(_HOST, min_size=1, max_size=4, unique=True).map(tuple),
    service=st.sampled_from(["web", "api"]),
    port=st.integers(1, 65535),
    path_prefix=st.sampled_from(["", "/a", "/a/b"]),
    entrypoint=st.sampled_from(ENTRY_POINTS),
)


@given(routes=st.lists(_ROUTE, max_size=5, unique_by=lambda route: route.name))
def test_whatever_is_compiled_is_sound_and_stable(routes: list[Route]) -> None:
    config = compiled(*routes)
    assert lint(config) == []
    assert json.loads(json.dumps(config)) == config
    assert compiled(*routes) == config


def _change(path: str, value: Any) -> Callable[[Config], None]:
    def apply(config: Config) -> None:
        *parents, last = path.split("/")
        place: Any = config
        for part in parents:
            place = place[part]
        place[last] = value

    return apply


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_change("tcp", {}), "'tcp' is not a section"),
        (_change("http/models", {}), "'http.models' is not a section"),
        (_change("http", []), "'http' is not a mapping"),
        (_change("http/middlewares", {}), "'http.middlewares' is empty"),
        (_change("http/routers/odoo18-web/rule", "PathPrefix(`/`)"), "the rule names no host"),
        (_change("http/routers/odoo18-web/service", "gone"), "service 'gone' is not defined"),
        (_change("http/routers/odoo18-web/middlewares", ["gone"]), "middleware 'gone' is not defined"),
        (_change("http/routers/odoo18-web/entryPoints", ["traefik"]), "are not one of"),
        (_change("http/routers/odoo18-web/entryPoints", ["internal"]), "TLS belongs on the public"),
        (_change("http/services/odoo18-web/loadBalancer/servers", []), "0 servers are named"),
        (
            _change("http/services/odoo18-web/loadBalancer/servers", [{"url": "http://a:1"}, {"url": "http://b:1"}]),
            "2 s",
        ),
        (_change("http/services/odoo18-web/loadBalancer/servers", [{"url": "http://a"}]), "is not of the form"),
        (_change("http/services/odoo18-web/loadBalancer/servers", [{"url": "http://a:70000"}]), "is not of the form"),
        (_change("http/services/odoo18-web/loadBalancer/serversTransport", "gone"), "transport 'gone' is not"),
    ],
)
def test_lint_finds(change: Callable[[Config], None], said: str) -> None:
    config = copy.deepcopy(compiled(WEB))
    change(config)
    assert any(said in error.what for error in lint(config)), [error.what for error in lint(config)]


def test_host_claimed_by_two_stacks_is_named() -> None:
    other = Route("site", ("b.example.com",), "web", 8080)
    configs = {"odoo18": compiled(WEB), "www": compiled(other, stack="www")}
    errors = lint_all(configs)
    assert [(error.what, error.where) for error in errors] == [
        ("host 'b.example.com' is already served by stack odoo18", "stack www")
    ]


def test_same_host_at_another_entry_point_is_no_clash() -> None:
    other = Route("in", ("a.example.com",), "web", 1, "", INTERNAL)
    assert lint_all({"odoo18": compiled(WEB, BUS), "www": compiled(other, stack="www")}) == []


@pytest.mark.parametrize("prefix", ["/websocket", "/web/login", "/x"])
@pytest.mark.parametrize("host", ["a.example.com", "A.example.com"])
def test_a_path_of_a_host_that_another_stack_serves_is_a_clash(prefix: str, host: str) -> None:
    other = Route("b", (host,), "web", 1, prefix)
    errors = lint_all({"odoo18": compiled(WEB, BUS), "www": compiled(other, stack="www")})
    assert [error.what for error in errors] == ["host 'a.example.com' is already served by stack odoo18"]


def test_same_name_in_two_files_is_named() -> None:
    one = compile_stack("a", [Route("b-c", ("x.example.com",), "web", 1)], ADDRESSES, cert_resolver=None)
    two = compile_stack("a-b", [Route("c", ("y.example.com",), "web", 1)], ADDRESSES, cert_resolver=None)
    errors = [error.what for error in lint_all({"a": one, "a-b": two})]
    assert errors == ["http.routers 'a-b-c' is also defined by a", "http.services 'a-b-c' is also defined by a"]
