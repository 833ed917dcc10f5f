"""Routes: what a stack file may say, and which route takes a request."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.model.document import Node
from plugins.module_utils.model.errors import InvalidInput
from plugins.module_utils.model.route import Route, host_fault, parse_routes, route_for

GOOD: dict[str, Any] = {"name": "web", "hosts": ["shop.example.com"], "service": "web", "port": 8069}


def read(*routes: Any) -> tuple[Route, ...]:
    node = Node(list(routes), "stacks/shop.yml")
    found = parse_routes(node)
    node.finish()
    return found


def refused(*routes: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(*routes)
    return str(caught.value)


def test_reads_every_key() -> None:
    bus = {**GOOD, "name": "bus", "path_prefix": "/websocket", "port": "8072", "entrypoint": "internal"}
    assert read(GOOD, bus) == (
        Route("web", ("shop.example.com",), "web", 8069),
        Route("bus", ("shop.example.com",), "web", 8072, "/websocket", "internal"),
    )


def test_hosts_come_as_list_or_with_commas() -> None:
    (route,) = read({**GOOD, "hosts": "a.example.com, b.example.com,c.example.com,"})
    assert route.hosts == ("a.example.com", "b.example.com", "c.example.com")


def test_root_as_prefix_is_no_prefix() -> None:
    assert read({**GOOD, "path_prefix": "/"})[0].path_prefix == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hosts": ""}, "no host is named"),
        ({"hosts": []}, "no host is named"),
        ({"hosts": None}, "no host is named"),
        ({"hosts": " , "}, "no host is named"),
        ({"hosts": ["*.example.com"]}, "wildcard"),
        ({"hosts": ["Shop.example.com"]}, "capital letters"),
        ({"hosts": ["https://shop.example.com"]}, "not a host name"),
        ({"hosts": ["shop.example.com:443"]}, "not a host name"),
        ({"hosts": ["13.231.24.250"]}, "is an IP address"),
        ({"hosts": ["shop"]}, "is not a domain name"),
        ({"hosts": ["shop..example.com"]}, "is not a domain name"),
        ({"hosts": ["-shop.example.com"]}, "is not a domain name"),
        ({"hosts": ["shop`) || host(`x.example.com"]}, "is not a domain name"),
        ({"hosts": ["a.example.com", "a.example.com"]}, "named 2 times"),
        ({"path_prefix": "websocket"}, "is not a path"),
        ({"path_prefix": "/web/"}, "is not a path"),
        ({"path_prefix": "/a`b"}, "is not a path"),
        ({"port": 0}, "outside 1..65535"),
        ({"port": None}, "needs 'port'"),
        ({"service": ""}, "needs 'service'"),
        ({"name": None}, "needs 'name'"),
        ({"name": "Web"}, "is not a name"),
        ({"entrypoint": "publik"}, "did you mean 'public'"),
        ({"prefix": "/x"}, "did you mean 'path_prefix'"),
    ],
)
def test_refuses_with_its_place(change: dict[str, Any], said: str) -> None:
    text = refused({**GOOD, **change})
    assert said in text
    assert "stacks/shop.yml [0]" in text


def test_refuses_two_routes_for_the_same_requests() -> None:
    assert "already taken by route 'web'" in refused(GOOD, {**GOOD, "name": "again"})
    assert "two routes are named 'web'" in refused(GOOD, {**GOOD, "path_prefix": "/api"})


def test_same_host_on_both_entry_points_is_fine() -> None:
    assert len(read(GOOD, {**GOOD, "name": "inside", "entrypoint": "internal"})) == 2


def test_not_a_list_and_not_a_mapping() -> None:
    assert "expected a list" in _refused_value({"web": GOOD})
    assert "expected a mapping" in refused("web")


def _refused_value(value: Any) -> str:
    node = Node(value, "stacks/shop.yml")
    parse_routes(node)
    with pytest.raises(InvalidInput) as caught:
        node.finish()
    return str(caught.value)


@pytest.mark.parametrize(
    ("host", "path", "taker"),
    [
        ("shop.example.com", "/", "web"),
        ("SHOP.example.com", "/", "web"),
        ("shop.example.com", "/websocket", "bus"),
        ("shop.example.com", "/websocket/x?y=1", "bus"),
        ("shop.example.com", "/websocket?x=/a", "bus"),
        ("shop.example.com", "/websockets", "web"),
        ("other.example.com", "/", None),
    ],
)
def test_longest_prefix_takes_the_request(host: str, path: str, taker: str | None) -> None:
    routes = read(GOOD, {**GOOD, "name": "bus", "path_prefix": "/websocket"})
    found = route_for(routes, host, path)
    assert (found.name if found else None) == taker


@pytest.mark.parametrize("host", ["a.b", "xn--wgv71a119e.example.jp", "demo.nagashiro.top", "1.2.3.4.example"])
def test_domain_names_are_accepted(host: str) -> None:
    assert host_fault(host) is None
