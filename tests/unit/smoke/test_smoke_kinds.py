"""Logins and web sockets as smoke tests: how they are read, and every way in which an answer can be wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plugins.module_utils.model.document import Node
from plugins.module_utils.model.errors import InvalidInput
from plugins.module_utils.model.route import Route
from plugins.module_utils.model.smoke import Observed, SmokeTest, parse_smoke
from plugins.module_utils.model.smoke_kinds import Login, SecretField, WebSocket
from plugins.module_utils.plan.smoke import (
    cookie_header,
    cookies_of,
    judge,
    login_body,
    login_fault,
    unplaced,
    without_secrets,
)


def read(**keys: Any) -> SmokeTest:
    node = Node([{"name": "t", "path": "/", **keys}], "stacks/shop.yml")
    [found] = parse_smoke(node)
    node.finish()
    return found


def test_reads_a_login() -> None:
    fields = {"login": "admin", "password": {"secret": "PASSWORD"}}
    login = read(login={"path": "/web/login", "fields": fields}).login
    assert login == Login("/web/login", {"login": "admin", "password": SecretField("PASSWORD")})
    assert login.secrets() == ("PASSWORD",)


def test_reads_a_nested_login_that_is_posted_as_json() -> None:
    params = {"db": "acme", "password": {"secret": "PASSWORD"}, "remember": True}
    fields = {"jsonrpc": "2.0", "params": params}
    login = read(login={"path": "/a", "fields": fields, "sent_as": "json", "status": 200}).login
    assert login
    assert login.secrets() == ("PASSWORD",)
    body, content = login_body(login, {"PASSWORD": 'q"x'})
    assert (json.loads(body)["params"], content) == (
        {"db": "acme", "password": 'q"x', "remember": True},
        "application/json",
    )
    assert login.status == (200,)


def test_a_form_is_escaped() -> None:
    login = Login("/a", {"login": "a&b", "password": SecretField("P")})
    assert login_body(login, {"P": "ü =1"})[0] == b"login=a%26b&password=%C3%BC+%3D1"


def test_reads_a_web_socket() -> None:
    assert read(web_socket={"send": "x", "expect": "y"}).web_socket == WebSocket("x", "y")
    assert read(web_socket={"expect": "y"}).web_socket == WebSocket("", "y")


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"login": {"path": "/a"}}, "a login needs 'fields'"),
        ({"login": {"fields": {"a": "b"}}}, "a login needs 'path'"),
        ({"login": {"path": "a", "fields": {"a": "b"}}}, "is not a path"),
        ({"login": {"path": "/a", "fields": {"a": {"b": "c"}}}}, "post it with sent_as: json"),
        ({"login": {"path": "/a", "fields": {"a": "b"}, "sent_as": "xml"}}, "not one of form, json"),
        ({"login": {"path": "/a", "fields": {"a": "b"}, "status": 9}}, "outside 100..599"),
        ({"login": {"path": "/a", "fields": {"a": "b"}, "field": 1}}, "'field' is not accepted here"),
        ({"login": "admin"}, "expected a mapping"),
        ({"web_socket": {"send": "x"}}, "proves nothing"),
        ({"web_socket": {"expected": "x"}}, "did you mean 'expect'"),
        ({"web_socket": {"expect": "x"}, "status": 101}, "a web socket has no 'status'"),
        ({"web_socket": {"expect": "x"}, "json": {"a": 1}}, "a web socket has no 'json'"),
    ],
)
def test_refuses(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(**keys)
    assert said in str(caught.value)


COOKIE = ("session_id=abc; Path=/; Secure; HttpOnly",)
LOGIN = Login("/login", {"login": "admin"})


@pytest.mark.parametrize(
    ("observed", "fault"),
    [
        (Observed(200, set_cookies=COOKIE), ""),
        (Observed(303, set_cookies=COOKIE), ""),
        (Observed(401, body=b"unknown login"), "POST /login answered 401, wanted 200 or 204"),
        (Observed(200), "answered 200 and set no cookie"),
        (Observed(200, set_cookies=("a=; Max-Age=0", "b=1; max-age=0")), "set no cookie"),
        (Observed(error="refused", detail="nothing listens at x:1"), "got no answer: nothing listens"),
    ],
)
def test_login_fault(observed: Observed, fault: str) -> None:
    found = login_fault(LOGIN, observed)
    assert bool(found) == bool(fault)
    assert fault in found


def test_cookies_go_back_as_they_came() -> None:
    seen = Observed(
        200, set_cookies=(*COOKIE, "lang=ja_JP; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "gone=1; Max-Age=0")
    )
    assert cookie_header(cookies_of(seen)) == {"Cookie": "session_id=abc; lang=ja_JP"}
    assert cookie_header({}) == {}


TALK = SmokeTest("t", "/ws", web_socket=WebSocket("hello", "echo"))


@pytest.mark.parametrize(
    ("observed", "reason"),
    [
        (Observed(101, body=b"greeting\nthe echo"), ""),
        (Observed(101, body=b"greeting"), "said 'greeting', wanted 'echo'; not within 5 s"),
        (Observed(101, body=b"", closed=1011), "said '', wanted 'echo'; it was closed with 1011"),
        (Observed(404, body=b"not here"), "was not opened: 404, wanted 101 (body: 'not here')"),
        (Observed(error="protocol", detail="no frames"), "got no answer: no frames"),
    ],
)
def test_judges_a_web_socket(observed: Observed, reason: str) -> None:
    result = judge(TALK, observed)
    assert result.passed == (not reason)
    assert reason in result.reason


def test_a_secret_that_an_answer_repeats_is_masked() -> None:
    seen = without_secrets(Observed(500, {"x-debug": "p=hunter2"}, b"bad password hunter2"), ["hunter2", ""])
    assert "hunter2" not in str(seen)
    assert "bad password" in judge(SmokeTest("t", "/"), seen).reason


def test_a_login_at_a_path_that_no_route_takes_is_an_error() -> None:
    routes = (Route("api", ("a.example.com",), "web", 80, "/api"),)
    test = SmokeTest("t", "/api/me", login=LOGIN)
    [error] = unplaced([test], routes)
    assert "a.example.com/login" in str(error)
