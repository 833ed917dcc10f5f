"""Old assets behind the new release: what is compiled, what the lint makes of it, and that nothing else is touched."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.model.route import INTERNAL, Route
from plugins.module_utils.model.switching import Asset
from plugins.module_utils.plan.edge import Config, compile_stack, lint
from plugins.module_utils.plan.edge_assets import due, has_old_assets, with_old_assets, without_old_assets

WEB = Route("web", ("a.example.com", "b.example.com"), "web", 3000)
API = Route("api", ("a.example.com",), "web", 3001, "/api")
ASSETS = (Asset("/_next/static", 3600),)


def config(
    routes: tuple[Route, ...] = (WEB, API),
    assets: tuple[Asset, ...] = ASSETS,
    old_routes: tuple[Route, ...] = (WEB, API),
) -> Config:
    plain = compile_stack("shop", routes, {"web": "shop-web-r2"}, cert_resolver="acme")
    return with_old_assets(plain, "shop", routes, assets, old_routes, {"web": "shop-web-r1"}, cert_resolver="acme")


def test_only_reading_below_the_path_is_answered_by_the_old_one_too() -> None:
    http = config()["http"]
    assert http["routers"]["shop-web._next.static"] == {
        "entryPoints": ["websecure"],
        "rule": "(Host(`a.example.com`) || Host(`b.example.com`)) && PathPrefix(`/_next/static/`)"
        " && (Method(`GET`) || Method(`HEAD`))",
        "priority": 1014,
        "service": "shop-web.or-old",
        "middlewares": ["shop-headers"],
        "tls": http["routers"]["shop-web"]["tls"],
    }
    assert http["services"]["shop-web.or-old"] == {
        "failover": {"service": "shop-web", "fallback": "shop-web.old", "errors": {"status": ["404"]}}
    }
    assert http["services"]["shop-web.old"]["loadBalancer"]["servers"] == [{"url": "http://shop-web-r1:3000"}]
    assert "shop-api.or-old" not in http["services"]  # the path is not below its prefix


def test_the_old_release_is_asked_at_its_own_port() -> None:
    old = Route("web", ("a.example.com",), "web", 8080)
    services = config(old_routes=(old,))["http"]["services"]
    assert services["shop-web.old"]["loadBalancer"]["servers"] == [{"url": "http://shop-web-r1:8080"}]


def test_what_the_old_release_did_not_have_stays_plain() -> None:
    assert not has_old_assets(config(old_routes=(API,)))
    assert not has_old_assets(config(assets=()))
    assert with_old_assets({}, "shop", (), ASSETS, (), {}, cert_resolver=None) == {}


def test_an_internal_route_has_no_tls() -> None:
    inside = Route("web", ("shop.internal",), "web", 3000, "", INTERNAL)
    assert "tls" not in config((inside,), old_routes=(inside,))["http"]["routers"]["shop-web._next.static"]


def test_it_passes_the_lint() -> None:
    assert lint(config()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fallback": "shop-web.gone"}, "fallback 'shop-web.gone' is not a service with a server"),
        ({"service": "shop-web.or-old"}, "service 'shop-web.or-old' is not a service with a server"),
        ({"errors": {}}, "no status is named"),
    ],
)
def test_the_lint_sees_a_failover_that_leads_nowhere(change: dict[str, Any], said: str) -> None:
    broken = copy.deepcopy(config())
    broken["http"]["services"]["shop-web.or-old"]["failover"] |= change
    [error] = lint(broken)
    assert said in str(error)


def test_a_path_belongs_to_the_route_with_the_longest_prefix() -> None:
    services = config(assets=(Asset("/api", 60), Asset("/api/files", 60)))["http"]["services"]
    assert "shop-api.or-old" in services
    assert "shop-web.or-old" not in services


def test_a_longer_route_below_the_assets_keeps_its_requests() -> None:
    below = Route("made", ("a.example.com",), "web", 3002, "/_next/static/m")
    routers = config((WEB, below), old_routes=(WEB,))["http"]["routers"]
    assert routers["shop-made"]["priority"] > routers["shop-web._next.static"]["priority"]
    assert routers["shop-web._next.static"]["priority"] > routers["shop-web"]["priority"]


_paths = st.lists(st.sampled_from(["/_next/static", "/static", "/api/files", "/a.b"]), unique=True)


@given(_paths, st.sets(st.sampled_from([WEB, API])))
def test_taken_away_again_it_is_as_it_was(paths: list[str], old: set[Route]) -> None:
    plain = compile_stack("shop", (WEB, API), {"web": "shop-web-r2"}, cert_resolver="acme")
    assets = tuple(Asset(path, 60) for path in paths)
    behind = with_old_assets(plain, "shop", (WEB, API), assets, old, {"web": "shop-web-r1"}, cert_resolver="acme")
    assert without_old_assets(behind) == plain
    assert lint(behind) == []
    for name, router in plain["http"]["routers"].items():
        assert behind["http"]["routers"][name] == router


def test_each_path_has_its_own_time() -> None:
    short, long = Asset("/a", 60), Asset("/b", 3600)
    assert due((short, long), 0) == (short, long)
    assert due((short, long), 60) == (long,)
    assert due((short, long), 3600) == ()
