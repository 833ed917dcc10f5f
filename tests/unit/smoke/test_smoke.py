"""Smoke tests: how they are read, and every way in which an answer can be wrong."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.model.document import Node
from plugins.module_utils.model.errors import InvalidInput, OpsError
from plugins.module_utils.model.route import Route
from plugins.module_utils.model.smoke import Observed, SmokeTest, parse_smoke
from plugins.module_utils.plan.smoke import judge, place_of, tally, unplaced


def read(*tests: Any) -> tuple[SmokeTest, ...]:
    node = Node(list(tests), "stacks/shop.yml")
    found = parse_smoke(node)
    node.finish()
    return found


def test_reads_every_key() -> None:
    assert read(
        {
            "name": "login",
            "path": "/web?x=1",
            "method": "POST",
            "host": "a.example.com",
            "status": [200, "303"],
            "headers": {"X-A": 1},
            "body_contains": "in",
            "json": {"checks.db": True},
            "timeout": "1m",
        }
    ) == (
        SmokeTest(
            "login", "/web?x=1", "POST", "a.example.com", (200, 303), {"X-A": "1"}, "in", {"checks.db": True}, "", 60.0
        ),
    )


def test_defaults_are_those_of_the_type() -> None:
    assert read({"name": "a", "path": "/"}) == (SmokeTest("a", "/"),)


def test_redirect_test_expects_a_redirect() -> None:
    assert 302 in read({"name": "a", "path": "/", "location": "/web"})[0].status
    assert 200 not in read({"name": "a", "path": "/", "location": "/web"})[0].status


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "needs 'name'"),
        ({"path": None}, "needs 'path'"),
        ({"path": "health"}, "is not a path"),
        ({"path": "/a b"}, "is not a path"),
        ({"path": "/a\r\nX: y"}, "is not a path"),
        ({"method": "DELETE"}, "not one of GET"),
        ({"host": "*.example.com"}, "wildcard"),
        ({"status": 99}, "outside 100..599"),
        ({"status": ["ok"]}, "expected a whole number"),
        ({"timeout": "0s"}, "not a time a smoke test may take"),
        ({"timeout": "2m"}, "not a time a smoke test may take"),
        ({"body_contain": "x"}, "did you mean 'body_contains'"),
    ],
)
def test_refuses(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read({"name": "a", "path": "/", **change})
    assert said in str(caught.value)


def test_refuses_two_of_one_name() -> None:
    with pytest.raises(InvalidInput, match="two smoke tests are named 'a'"):
        read({"name": "a", "path": "/"}, {"name": "a", "path": "/b"})


OK = Observed(200, {"content-type": "application/json", "x-a": "1"}, b'{"status":"pass","n":[{"id":7}],"ok":true}', 3.0)


@pytest.mark.parametrize(
    ("test", "observed", "reason"),
    [
        (SmokeTest("t", "/h"), OK, ""),
        (SmokeTest("t", "/h"), Observed(503, {}, b"db is away"), "answered 503, wanted 200 (body: 'db is away')"),
        (SmokeTest("t", "/h", status=(200, 204)), Observed(500), "answered 500, wanted 200 or 204"),
        (SmokeTest("t", "/h"), Observed(error="refused", detail="nothing listens at x:1"), "got no answer: nothing"),
        (SmokeTest("t", "/h"), Observed(200, error="timeout"), "got no answer: timeout"),
        (SmokeTest("t", "/h", headers={"X-A": "1"}), OK, ""),
        (SmokeTest("t", "/h", headers={"X-A": "2"}), OK, "header X-A is '1', wanted '2'"),
        (SmokeTest("t", "/h", headers={"X-B": "2"}), OK, "header X-B is missing, wanted '2'"),
        (SmokeTest("t", "/h", body_contains="pass"), OK, ""),
        (SmokeTest("t", "/h", body_contains="<html"), OK, "the body does not contain '<html'"),
        (SmokeTest("t", "/h", json={"status": "pass", "n.0.id": 7, "ok": True}), OK, ""),
        (SmokeTest("t", "/h", json={"status": "fail"}), OK, "JSON 'status' is 'pass', wanted 'fail'"),
        (SmokeTest("t", "/h", json={"n.1.id": 7}), OK, "the JSON has no 'n.1.id'"),
        (SmokeTest("t", "/h", json={"status.deep": 7}), OK, "the JSON has no 'status.deep'"),
        (SmokeTest("t", "/h", json={"ok": 1}), OK, "JSON 'ok' is true, wanted 1"),
        (SmokeTest("t", "/h", json={"a": 1}), Observed(200, {}, b"<html>"), "the body is not JSON (body: '<html>')"),
        (SmokeTest("t", "/", status=(302,), location="/web"), Observed(302, {"location": "/web"}), ""),
        (SmokeTest("t", "/", status=(302,), location="/web"), Observed(302, {"location": "https://a.b/web"}), ""),
        (
            SmokeTest("t", "/", status=(302,), location="https://a.b/web"),
            Observed(302, {"location": "http://a.b/web"}),
            "redirects to 'http://a.b/web', wanted 'https://a.b/web'",
        ),
        (SmokeTest("t", "/", status=(302,), location="/web"), Observed(302), "redirects to '', wanted '/web'"),
    ],
)
def test_judge(test: SmokeTest, observed: Observed, reason: str) -> None:
    result = judge(test, observed)
    assert result.passed == (not reason)
    assert reason in result.reason


def test_long_bodies_are_cut_in_the_reason() -> None:
    assert len(judge(SmokeTest("t", "/"), Observed(500, {}, b"x" * 10_000)).reason) < 250


def test_tally() -> None:
    results = [judge(SmokeTest("a", "/"), Observed(200)), judge(SmokeTest("b", "/"), Observed(500))]
    assert tally(results) == "1/2"


ROUTES = (Route("web", ("a.example.com",), "web", 8069), Route("bus", ("a.example.com",), "web", 8072, "/websocket"))


def test_place_is_the_first_host_and_the_route_of_the_path() -> None:
    assert place_of(SmokeTest("t", "/websocket/health"), ROUTES) == ("a.example.com", ROUTES[1])
    assert place_of(SmokeTest("t", "/", host="a.example.com"), ROUTES) == ("a.example.com", ROUTES[0])


def test_host_that_no_route_has_is_an_error() -> None:
    with pytest.raises(OpsError, match=r"no route of the stack takes 'b\.example\.com/'"):
        place_of(SmokeTest("t", "/", host="b.example.com"), ROUTES)
    with pytest.raises(OpsError, match="no route"):
        place_of(SmokeTest("t", "/"), ())
    assert len(unplaced([SmokeTest("t", "/", host="b.example.com"), SmokeTest("u", "/")], ROUTES)) == 1
