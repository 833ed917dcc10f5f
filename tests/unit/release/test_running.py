"""What a command in a container says, read over a real socket in the engine's own frames."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, cast

import pytest

from plugins.module_utils.gateway.engine import Engine
from plugins.module_utils.gateway.running import MOST_BYTES, execute
from plugins.module_utils.model.errors import OpsError

OUT, ERR = 1, 2
Frames = Iterable[tuple[int, bytes]]


class Api:
    """As much of the engine's API as a command takes; ``code`` None: it has not ended."""

    def __init__(self, frames: Frames, code: int | None = 0) -> None:
        self.frames, self.code, self.sent = frames, code, 0

    def exec_create(self, name: str, command: list[str]) -> dict[str, str]:  # noqa: ARG002
        return {"Id": "1"}

    def exec_start(self, run: str, *, socket: bool) -> Any:  # noqa: ARG002
        assert socket
        theirs, self.ours = _pair()
        threading.Thread(target=self._say, args=(theirs,), daemon=True).start()
        return self.ours

    def exec_inspect(self, run: str) -> dict[str, int | None]:  # noqa: ARG002
        return {"ExitCode": self.code}

    def _say(self, theirs: socket.socket) -> None:
        with theirs, suppress(OSError):
            for kind, part in self.frames:
                theirs.sendall(struct.pack(">BxxxL", kind, len(part)) + part)
                self.sent += len(part)


def _pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def run(frames: Frames, code: int | None = 0, limit_s: float = 5) -> tuple[str, Api]:
    api = Api(frames, code)
    engine = cast(Engine, type("E", (), {"api": api})())
    return execute(engine, "shop-web", ("status",), limit_s), api


def test_both_streams_are_told_apart() -> None:
    out, api = run([(OUT, b"one "), (ERR, b"oops"), (OUT, "two ü".encode()), (OUT, b"")])
    assert out == "one two ü"
    assert api.ours.fileno() == -1, "the connection was left open"
    with pytest.raises(OpsError, match="ended with exit code 3; it says: oops"):
        run([(OUT, b"one"), (ERR, b"oops")], 3)


def test_who_never_stops_writing_is_cut_off() -> None:
    endless = iter(lambda: (OUT, b"x" * 60_000), None)
    with pytest.raises(OpsError, match=f"writes more than {MOST_BYTES} bytes"):
        run(endless)


def test_a_command_that_does_not_end_is_told() -> None:
    def slow() -> Frames:
        yield OUT, b"waiting"
        threading.Event().wait(2)

    with pytest.raises(OpsError, match=r"did not end within 0.2 s; it says: waiting"):
        run(slow(), limit_s=0.2)
