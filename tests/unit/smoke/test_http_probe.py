"""The probe against servers that behave, and servers that do not; all on loopback."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from plugins.module_utils.gateway.dialling import Target, off_edge
from plugins.module_utils.gateway.http_probe import ask, probe, probe_until
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.smoke import Observed, SmokeTest
from plugins.module_utils.plan.smoke import tally
from plugins.module_utils.smoke import run_smoke

Speech = Callable[[socket.socket, bytes], None]


@contextmanager
def server(speak: Speech) -> Iterator[int]:
    """A listener that reads one request per connection and lets ``speak`` answer it."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(client,), daemon=True).start()

    def answer(client: socket.socket) -> None:
        with client:
            try:
                speak(client, client.recv(65536))
            except OSError:
                return  # the probe has hung up, as it should

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def says(answer: bytes) -> Speech:
    return lambda client, _: client.sendall(answer)


def asked(speak: Speech, path: str = "/", *, timeout: float = 2.0, method: str = "GET") -> Observed:
    with server(speak) as port:
        return ask(Target("127.0.0.1", port, "shop.example.com"), path, timeout=timeout, method=method)


def test_answer_is_told_whole() -> None:
    seen = asked(says(b"HTTP/1.1 404 Gone\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 2\r\n\r\nno"))
    assert (seen.status, seen.headers["x-a"], seen.body, seen.error) == (404, "1, 2", b"no", "")
    assert seen.ms > 0


def test_request_names_the_host_and_carries_what_the_edge_would_add() -> None:
    requests: list[bytes] = []

    def note(client: socket.socket, request: bytes) -> None:
        requests.append(request)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with server(note) as port:
        assert ask(off_edge("127.0.0.1", port, "shop.example.com"), "/a?b=1").status == 200
    lines = requests[0].decode().split("\r\n")
    assert lines[0] == "GET /a?b=1 HTTP/1.1"
    assert "Host: shop.example.com" in lines
    assert "X-Forwarded-Proto: https" in lines
    assert sum(line.lower().startswith("host:") for line in lines) == 1


def test_post_has_an_empty_body_and_head_expects_none() -> None:
    assert asked(says(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), method="HEAD").status == 200
    requests: list[bytes] = []

    def note(client: socket.socket, request: bytes) -> None:
        requests.append(request)
        client.sendall(b"HTTP/1.1 204 No\r\n\r\n")

    assert asked(note, method="POST").status == 204
    assert b"Content-Length: 0" in requests[0]


def test_redirect_is_told_and_not_followed() -> None:
    seen = asked(says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n"))
    assert (seen.status, seen.headers["location"]) == (302, "http://127.0.0.1:1/x")


def test_chunked_body() -> None:
    seen = asked(says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
    assert seen.body == b"abc"


def test_large_body_is_cut() -> None:
    seen = asked(says(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"x" * 999999))
    assert (seen.status, len(seen.body), seen.cut) == (200, 256 * 1024, True)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "closed"),
        (b"SSH-2.0-OpenSSH_10\r\n", "protocol"),
    ],
)
def test_broken_answers(answer: bytes, kind: str) -> None:
    seen = asked(says(answer))
    assert (seen.status, seen.error) == (0, kind)
    assert "127.0.0.1" in seen.detail


def test_silence_is_a_timeout() -> None:
    start = time.monotonic()
    seen = asked(lambda *_: time.sleep(3), timeout=0.3)
    assert seen.error == "timeout"
    assert time.monotonic() - start < 1.5


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_single_bytes_do_not_extend_the_timeout(first: bytes) -> None:
    def drip(client: socket.socket, _: bytes) -> None:
        client.sendall(first)
        for _number in range(100):
            client.sendall(b"H" if not first else b"x")
            time.sleep(0.05)

    start = time.monotonic()
    seen = asked(drip, timeout=0.4)
    assert seen.error == "timeout"
    assert time.monotonic() - start < 1.5


def test_nobody_listens() -> None:
    assert probe("http://127.0.0.1:1/").error == "refused"


def test_unknown_name() -> None:
    assert probe("http://no-such-host.invalid/", timeout=3).error == "dns"


def test_plain_server_asked_in_tls() -> None:
    with server(says(b"HTTP/1.1 400 Bad\r\n\r\n")) as port:
        seen = ask(Target("127.0.0.1", port, "shop.example.com", tls=True), "/")
    assert seen.error == "tls"


def test_probe_until_wants_them_in_a_row() -> None:
    answers = iter(["old", "new", "old", "new", "new", "new"])
    confirmed = probe_until(lambda: Observed(200, {"x-release": next(answers)}), "new")
    assert (confirmed.requests, confirmed.failed) == (6, 0)


def test_probe_until_says_what_it_saw_last() -> None:
    with pytest.raises(OpsError, match="the last answer was 200 with X-Release 'old'"):
        probe_until(lambda: Observed(200, {"x-release": "old"}), "new", deadline_s=0.05)
    with pytest.raises(OpsError, match="the last request failed: nothing listens"):
        probe_until(lambda: Observed(error="refused", detail="nothing listens"), "new", deadline_s=0.05)
    with pytest.raises(OpsError, match="the last answer was 500 without X-Release"):
        probe_until(lambda: Observed(500), "new", deadline_s=0.05)


def test_run_smoke_keeps_the_order_and_asks_side_by_side() -> None:
    def slow(client: socket.socket, request: bytes) -> None:
        time.sleep(0.2)
        status = request.split(b" ")[1].strip(b"/")
        client.sendall(b"HTTP/1.1 " + status + b" X\r\nContent-Length: 0\r\n\r\n")

    tests = [SmokeTest(str(number), f"/{status}") for number, status in enumerate((200, 500, 200, 200))]
    with server(slow) as port:
        start = time.monotonic()
        results = run_smoke(tests, lambda _: Target("127.0.0.1", port, "shop.example.com"))
        seconds = time.monotonic() - start
    assert [result.passed for result in results] == [True, False, True, True]
    assert tally(results) == "3/4"
    assert seconds < 0.7
