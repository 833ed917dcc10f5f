"""Smoke tests of every kind run against a real server (aiohttp), which can be told to break each of them."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from aiohttp import WSMsgType, web

from plugins.module_utils.gateway.dialling import Target
from plugins.module_utils.gateway.web_socket import talk
from plugins.module_utils.model.smoke import SmokeResult, SmokeTest
from plugins.module_utils.model.smoke_kinds import Login, SecretField, WebSocket
from plugins.module_utils.smoke import run_smoke

PASSWORD = "correct horse"


class Application:
    """One user, one page, one web socket; ``breaks`` names what is broken."""

    def __init__(self) -> None:
        self.breaks = ""
        self.loop = asyncio.new_event_loop()
        listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(listener.getsockname()[1])
        application = web.Application()
        application.router.add_post("/login", self.login)
        application.router.add_get("/me", self.me)
        application.router.add_get("/ws", self.socket)
        self.runner = web.AppRunner(application)
        self.loop.run_until_complete(self.runner.setup())
        self.loop.run_until_complete(web.SockSite(self.runner, listener).start())
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.runner.cleanup(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        self.loop.close()

    async def login(self, request: web.Request) -> web.Response:
        given = await request.post()
        if self.breaks == "login" or given.get("password") != PASSWORD:
            return web.Response(status=401, text=f"no such user, password {given.get('password')!s}")
        response = web.Response(status=303, headers={"Location": "/me"})
        if self.breaks != "cookie":
            response.set_cookie("session", "s1", secure=True)
            response.set_cookie("lang", "ja")
        return response

    async def me(self, request: web.Request) -> web.Response:
        if self.breaks == "session" or request.cookies.get("session") != "s1":
            return web.json_response({"error": "no session"}, status=401)
        return web.json_response({"login": "admin", "lang": request.cookies.get("lang")})

    async def socket(self, request: web.Request) -> web.StreamResponse:
        if self.breaks == "upgrade":
            return web.Response(status=503, text="no web sockets today")
        found = web.WebSocketResponse(heartbeat=0.05)  # pings have to be answered, or it ends
        await found.prepare(request)
        if self.breaks == "close":
            await found.close(code=1011)
            return found
        while self.breaks == "flood":
            await found.send_str("x" * 30_000)
        await found.send_str("x" * 70_000 if self.breaks == "long" else f"hello {request.cookies.get('session', '')}")
        async for message in found:
            if message.type is WSMsgType.TEXT and self.breaks != "silence":
                await asyncio.sleep(0.2)
                await found.send_str(f"echo {message.data}")
        return found


@pytest.fixture
def application() -> Iterator[Application]:
    found = Application()
    yield found
    found.stop()


LOGIN = Login("/login", {"login": "admin", "password": SecretField("PASSWORD")})
ME = SmokeTest("login", "/me", json={"login": "admin", "lang": "ja"}, login=LOGIN, timeout=2)
TALK = SmokeTest("web socket", "/ws", web_socket=WebSocket("one two", "echo one two"), timeout=1)
KNOWN = SmokeTest("known", "/ws", web_socket=WebSocket("", "hello s1"), login=LOGIN, timeout=1)


def run(application: Application, test: SmokeTest, password: str = PASSWORD) -> SmokeResult:
    target = Target("127.0.0.1", application.port, "shop.example.com")
    [result] = run_smoke([test], lambda _: target, {"PASSWORD": password})
    return result


@pytest.mark.parametrize("test", [ME, TALK, KNOWN], ids=lambda test: test.name)
def test_passes(application: Application, test: SmokeTest) -> None:
    result = run(application, test)
    assert (result.passed, result.reason) == (True, "")
    assert result.ms > 0


@pytest.mark.parametrize(
    ("breaks", "test", "reason"),
    [
        ("login", ME, "the login POST /login answered 401"),
        ("cookie", ME, "answered 303 and set no cookie"),
        ("session", ME, 'GET /me answered 401, wanted 200 (body: \'{"error": "no session"}\')'),
        ("upgrade", TALK, "was not opened: 503, wanted 101 (body: 'no web sockets today')"),
        ("close", TALK, "said '', wanted 'echo one two'; it was closed with 1011"),
        ("silence", TALK, "said 'hello', wanted 'echo one two'; not within 1 s"),
        ("login", KNOWN, "the login POST /login answered 401"),
    ],
)
def test_fails_for_its_own_reason(application: Application, breaks: str, test: SmokeTest, reason: str) -> None:
    application.breaks = breaks
    result = run(application, test)
    assert not result.passed
    assert reason in result.reason


def test_a_wrong_password_is_in_no_reason(application: Application) -> None:
    reason = run(application, ME, "hunter2").reason
    assert "hunter2" not in reason
    assert "no such user" in reason


def test_a_secret_that_the_host_lacks_is_told(application: Application) -> None:
    target = Target("127.0.0.1", application.port, "shop.example.com")
    [result] = run_smoke([ME], lambda _: target)
    assert "this host has no value of PASSWORD" in result.reason


def test_a_long_message_comes_whole(application: Application) -> None:
    application.breaks = "long"
    target = Target("127.0.0.1", application.port, "a")
    seen = talk(target, "/ws", send="", expect="x" * 70_000, timeout=2)
    assert len(seen.body) == 70_000


def test_who_never_stops_talking_is_not_listened_to_until_memory_ends(application: Application) -> None:
    application.breaks = "flood"
    began = time.monotonic()
    seen = talk(Target("127.0.0.1", application.port, "a"), "/ws", send="", expect="never", timeout=10)
    assert seen.error == "protocol"
    assert "sends more than 1048576 bytes, and not what is expected" in seen.detail
    assert time.monotonic() - began < 8
    assert len(seen.body) < 2**20


def test_what_is_no_web_socket_is_told(application: Application) -> None:
    target = Target("127.0.0.1", application.port, "a")
    assert talk(target, "/me", send="", expect="", timeout=2).status == 401
    assert talk(Target("127.0.0.1", 1, "a"), "/", send="", expect="", timeout=2).error == "refused"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 101 X\r\nSec-WebSocket-Accept: another\r\n\r\n", "another's key"),
        (b"hello\r\n\r\n", "not HTTP"),
        (b"", "closed the connection"),
    ],
)
def test_a_faulty_upgrade_is_told(answer: bytes, error: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        client, _ = listener.accept()
        with client:
            client.recv(65536)
            client.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    began = time.monotonic()
    seen = talk(Target("127.0.0.1", listener.getsockname()[1], "a"), "/", send="", expect="", timeout=2)
    listener.close()
    assert error in seen.detail
    assert time.monotonic() - began < 1.5
