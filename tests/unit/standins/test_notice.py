"""A stand-in that gets notice closes its web sockets, tells them to come back, and goes on serving."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plugins.module_utils.gateway.dialling import Target
from plugins.module_utils.gateway.http_probe import ask
from plugins.module_utils.gateway.web_socket import WebSocket, talk

STANDINS = Path(__file__).resolve().parents[3] / "molecule" / "lab" / "standins"


@contextmanager
def langbot(**settings: str) -> Iterator[tuple[subprocess.Popen[bytes], Target]]:
    """A stand-in that needs nothing, as a process of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    identity = {"PROFILE": "langbot", "RELEASE": "sha-19b9b98", "EDITION": "good", "BROKEN": "0", "PORT": str(port)}
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(STANDINS), **identity, **settings}
    command = [sys.executable, "-m", "standin", "serve"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    target = Target("127.0.0.1", port, "chat.example.com")
    try:
        deadline = time.monotonic() + 20
        while ask(target, "/health").status != 200:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        yield process, target
    finally:
        process.kill()
        process.wait()


def opened(target: Target) -> WebSocket:
    stream = socket.create_connection((target.address, target.port), 5)
    found = WebSocket(stream)
    assert found.open("/ws", {"Host": target.host}) == b""
    assert '"langbot"' in str(found.receive())
    return found


def test_a_notice_closes_web_sockets_and_nothing_else() -> None:
    with langbot() as (process, target):
        first = opened(target)
        process.send_signal(signal.SIGUSR1)
        assert first.receive() is None
        assert first.closed == 1012
        assert ask(target, "/health").status == 200
        second = opened(target)
        second.send("still there")
        assert "still there" in str(second.receive())
        process.send_signal(signal.SIGTERM)
        assert second.receive() is None
        assert second.closed == 1001
        assert process.wait(10) == 0


@pytest.mark.parametrize(("breaks", "passes"), [("none", True), ("web_socket", False)])
def test_a_web_socket_can_be_broken_on_purpose(breaks: str, passes: bool) -> None:
    with langbot(BREAK=breaks, ALLOW_FAULTS="1") as (_, target):
        seen = talk(target, "/ws", send="are you there", expect="are you there", timeout=1)
        assert (b"are you there" in seen.body) == passes
        assert ask(target, "/health").status == 200
