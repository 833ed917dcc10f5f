"""As much of a web socket as a smoke test needs: upgrade, texts in and out, pings answered, a close (RFC 6455).

Hosts have no library for it that all Debian releases share, and a test needs a hundred lines of the protocol.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import os
import secrets
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..model.smoke import Observed
from .dialling import Target, connected, cut_off, kind_of, secured
from .http_probe import folded

SWITCHING = 101
NORMAL = 1000
_NO_CODE = 1005  # the other side closed and gave none (7.1.5)
_MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA
_TEXT_WEIGHS = 64  # bytes that even an empty text takes in memory
_LONGEST_HEAD, _LONGEST_MESSAGE, _EXCERPT = 64 * 1024, 1024 * 1024, 4096


class NotAWebSocket(Exception):
    """The other side does not speak the protocol; the text says how."""


@dataclass
class WebSocket:
    """An upgraded connection. ``status`` and ``headers`` are the answer to the upgrade; other than 101, nothing opened.

    Its calls wait as long as the socket's own timeout says.
    """

    stream: socket.socket
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    closed: int = 0
    _rest: bytes = b""

    def open(self, path: str, headers: Mapping[str, str]) -> bytes:
        """Ask for the upgrade; what was answered instead, empty when it is open."""
        key = base64.b64encode(os.urandom(16)).decode()
        asked = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", **headers}
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in asked.items())]
        self.stream.sendall(("\r\n".join([*lines, f"Sec-WebSocket-Key: {key}"]) + "\r\n\r\n").encode("latin-1"))
        self._read_head()
        if self.status != SWITCHING:
            return self._rest[:_EXCERPT]
        # SHA-1 is what the protocol asks for; it proves only that the other side read the question.
        digest = hashlib.sha1(f"{key}{_MAGIC}".encode(), usedforsecurity=False).digest()
        if self.headers.get("sec-websocket-accept") != base64.b64encode(digest).decode():
            raise NotAWebSocket("the upgrade was answered with another's key")
        return b""

    def send(self, text: str) -> None:
        """Send a text."""
        self._send(_TEXT, text.encode())

    def receive(self) -> str | None:
        """The next text (or binary message, as text); None once the other side has closed, with its code in closed."""
        message = b""
        while True:
            last, kind, content = self._frame()
            if kind == _PING:
                self._send(_PONG, content)
            elif kind == _CLOSE:
                self.closed = struct.unpack("!H", content[:2])[0] if len(content) > 1 else _NO_CODE
                self._send(_CLOSE, content[:2])
                return None
            elif kind != _PONG:
                message += content
                if len(message) > _LONGEST_MESSAGE:
                    raise NotAWebSocket(f"a message is longer than {_LONGEST_MESSAGE} bytes")
                if last:
                    return message.decode(errors="replace")

    def close(self) -> None:
        """Say that we leave; the answer is not waited for."""
        self._send(_CLOSE, struct.pack("!H", NORMAL))

    def _read_head(self) -> None:
        while b"\r\n\r\n" not in self._rest:
            if len(self._rest) > _LONGEST_HEAD:
                raise NotAWebSocket("the answer's headers do not end")
            self._rest += self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        first, _, lines = head.partition(b"\r\n")
        words = first.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
            raise NotAWebSocket("the answer is not HTTP")
        self.status = int(words[1])
        self.headers = folded(http.client.parse_headers(io.BytesIO(lines + b"\r\n\r\n")).items())

    def _frame(self) -> tuple[bool, int, bytes]:
        first, second = self._take(2)
        if second & 0x80:
            raise NotAWebSocket("the server masks what it sends (5.1)")
        size = second & 0x7F
        if size > 125:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        if size > _LONGEST_MESSAGE:
            raise NotAWebSocket(f"a frame of {size} bytes is announced")
        return bool(first & 0x80), first & 0x0F, self._take(size)

    def _send(self, kind: int, content: bytes) -> None:
        size, mask = len(content), secrets.token_bytes(4)
        if size < 126:
            length = bytes([0x80 | size])
        elif size < 65536:
            length = bytes([0x80 | 126]) + struct.pack("!H", size)
        else:
            length = bytes([0x80 | 127]) + struct.pack("!Q", size)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(content))
        self.stream.sendall(bytes([0x80 | kind]) + length + mask + masked)

    def _take(self, size: int) -> bytes:
        while len(self._rest) < size:
            self._rest += self._more()
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def _more(self) -> bytes:
        part = self.stream.recv(65536)
        if not part:
            raise ConnectionResetError("the other side closed the connection")
        return part


def talk(
    target: Target, path: str, *, send: str, expect: str, timeout: float, headers: Mapping[str, str] | None = None
) -> Observed:
    """Open a web socket, send ``send`` unless it is empty, and read until a text contains ``expect``.

    An answer that is no upgrade is told with its status. Never raises for what the other side does: that it stayed
    silent until ``timeout`` (seconds, for all of it) shows in ``body``, which has the texts that came.
    """
    start = time.monotonic()
    texts: list[str] = []
    socket_: WebSocket | None = None
    try:
        with connected(target.address, target.port, timeout) as raw, cut_off(raw, start + timeout):
            stream = secured(raw, target.host, target.ca_pem, target.verify) if target.tls else raw
            socket_ = WebSocket(stream)
            body = socket_.open(path, {"Host": target.host, **target.headers, **(headers or {})})
            if socket_.status != SWITCHING:
                return Observed(socket_.status, socket_.headers, body, _since(start))
            _converse(socket_, send, expect, texts)
    except NotAWebSocket as error:
        return Observed(error="protocol", detail=f"{target.address}:{target.port}: {error}", ms=_since(start))
    except (OSError, http.client.HTTPException) as error:
        if socket_ is None or socket_.status != SWITCHING:
            kind, detail = kind_of(error, f"{target.address}:{target.port}", timeout)
            return Observed(error=kind, detail=detail, ms=_since(start))
        # Open, and then silent or gone: what was said until then is the answer.
    return Observed(SWITCHING, socket_.headers, "\n".join(texts).encode(), _since(start), closed=socket_.closed)


def _converse(open_: WebSocket, send: str, expect: str, texts: list[str]) -> None:
    if send:
        open_.send(send)
    size = 0
    while expect not in "\n".join(texts[-1:]):
        text = open_.receive()
        if text is None:
            return
        size += len(text) + _TEXT_WEIGHS
        if size > _LONGEST_MESSAGE:
            raise NotAWebSocket(f"it sends more than {_LONGEST_MESSAGE} bytes, and not what is expected")
        texts.append(text)
    open_.close()


def _since(start: float) -> float:
    return (time.monotonic() - start) * 1000
