"""HTTP/1.1 and web sockets over TLS with as little of a client as can be: what it costs is taken from who is measured.

It repeats nothing and follows nothing. One connection carries one request at a time.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

# Traefik closes a kept connection after 180 s of idleness; one that may just be closing is not a server's failure.
IDLE_LIMIT_S = 60.0
_HEAD_END = b"\r\n\r\n"
_TEXT, _CLOSE = 0x81, 0x88
_COME_AGAIN = (1001, 1012)  # going away, service restart (RFC 6455, 7.4.1, and the registry it made)


class Recalled(Exception):
    """A web socket was closed in good order, by an application that wants its clients to connect anew."""


class Broken(Exception):
    """The exchange did not come to a whole answer; the text says how, in few words, so that it can be counted."""


@dataclass(frozen=True)
class Reply:
    """A whole answer: status, headers in lower case, body."""

    status: int
    headers: dict[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Line(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._waiting: asyncio.Future[None] | None = None
        self._ended = ""
        self._transport: asyncio.Transport | None = None
        self.idle_since = 0.0
        self.reusable = True

    # -- what asyncio calls --------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._wake()

    def eof_received(self) -> None:
        self._ended = self._ended or "closed by the other side"
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = self._ended or (f"connection lost: {exc}" if exc else "closed by the other side")
        self._wake()

    def _wake(self) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)

    # -- what a client calls -------------------------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether another request may be sent."""
        return self.reusable and not self._ended and not self._buffer

    def close(self) -> None:
        """Hang up."""
        if self._transport:
            self._transport.abort()

    async def ask(self, head: bytes, body: Sequence[bytes] = (), pause_s: float = 0.0) -> Reply:
        """Send a request, its body in pieces with a pause before each but the first; the whole answer.

        Raises Broken.
        """
        self._send(head + (body[0] if body else b""))
        for piece in body[1:]:
            await asyncio.sleep(pause_s)
            if self._buffer or self._ended:  # an answer that does not wait for the rest of the question
                break
            self._send(piece)
        headers_end = await self._until(lambda: self._buffer.find(_HEAD_END), "before an answer")
        status, headers = _head(bytes(self._take(headers_end + len(_HEAD_END))))
        self.reusable = headers.get("connection", "").lower() != "close" and status != 101
        return Reply(status, headers, await self._body(status, headers))

    async def say(self, text: str) -> str:
        """Send a text over the web socket; the text that comes back. Raises Broken, and Recalled."""
        if not self._ended:  # else what it was told before it was closed is read
            self._send(_frame(_TEXT, text.encode()))
        return await self.heard()

    async def heard(self) -> str:
        """The next text from the web socket. Raises Broken, and Recalled."""
        while True:
            first, second = await self._exactly(2)
            length = second & 0x7F
            if length == 126:
                length = int.from_bytes(await self._exactly(2), "big")
            payload = await self._exactly(length)
            if first == _TEXT:
                return payload.decode()
            if first == _CLOSE:
                code = int.from_bytes(payload[:2], "big")
                if code in _COME_AGAIN:
                    raise Recalled
                raise Broken(f"web socket closed by the other side ({code})")

    def part(self) -> None:
        """End a web socket as one should, unless the other side did so first: all that was asked for was answered."""
        if not self._ended:
            self._send(_frame(_CLOSE, (1000).to_bytes(2, "big")))

    def _send(self, data: bytes) -> None:
        if self._ended or self._transport is None:
            raise Broken(f"{self._ended or 'not connected'} before the request was sent")
        self._transport.write(data)

    async def _body(self, status: int, headers: dict[str, str]) -> bytes:
        if status in (101, 204, 304):
            return b""
        if "content-length" in headers:
            return await self._exactly(int(headers["content-length"]))
        if headers.get("transfer-encoding", "").lower() != "chunked":
            raise Broken("an answer without a length")
        whole = bytearray()
        while True:
            end = await self._until(lambda: self._buffer.find(b"\r\n"), "within an answer")
            size = int(bytes(self._take(end + 2)).split(b";")[0], 16)
            whole += (await self._exactly(size + 2))[:size]
            if not size:
                return bytes(whole)

    async def _exactly(self, size: int) -> bytes:
        await self._until(lambda: 0 if len(self._buffer) >= size else -1, "within an answer")
        return bytes(self._take(size))

    async def _until(self, find: Callable[[], int], when: str) -> int:
        while (found := find()) < 0:
            if self._ended:
                raise Broken(f"{self._ended} {when}")
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        return found

    def _take(self, size: int) -> bytearray:
        taken = self._buffer[:size]
        del self._buffer[:size]
        return taken


class Lines:
    """Connections to one server; a kept one is used again, the youngest first."""

    def __init__(self, address: str, port: int, name: str, context: ssl.SSLContext) -> None:
        self._address, self._port, self._name, self._context = address, port, name, context
        self._idle: deque[Line] = deque()

    async def fresh(self) -> Line:
        """A new connection. Raises Broken."""
        loop = asyncio.get_running_loop()
        try:
            _, line = await loop.create_connection(
                Line, self._address, self._port, ssl=self._context, server_hostname=self._name
            )
        except OSError as error:  # ssl.SSLError is one
            raise Broken(f"cannot connect: {_reason(error)}") from error
        return line

    async def kept(self) -> Line:
        """A connection that was used before, or a new one when none is idle. Raises Broken."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            line = self._idle.pop()
            if line.open and now - line.idle_since < IDLE_LIMIT_S:
                return line
            line.close()
        return await self.fresh()

    def keep(self, line: Line) -> None:
        """Give a connection back."""
        if line.open:
            line.idle_since = asyncio.get_running_loop().time()
            self._idle.append(line)
        else:
            line.close()

    def close(self) -> None:
        """Hang up all that are idle."""
        while self._idle:
            self._idle.pop().close()


def request_head(method: str, path: str, host: str, length: int = 0, more: Mapping[str, str] | None = None) -> bytes:
    """The first part of a request; ``more`` are further headers."""
    headers = {"Host": host, "User-Agent": "seisei-load", **({"Content-Length": str(length)} if length else {})}
    pairs = {**headers, **(more or {})}.items()
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def release_of_greeting(text: str) -> str:
    """The release that a web socket of a stand-in greets with."""
    return str(json.loads(text).get("release", ""))


def _head(text: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = text.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return int(first.split(" ", 2)[1]), {name.lower(): value.strip() for name, _, value in pairs}


def _frame(kind: int, payload: bytes) -> bytes:
    # A client has to mask (RFC 6455, 5.3); these frames are short.
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return bytes((kind, 0x80 | len(payload))) + mask + masked


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted ({error.verify_message})"
    return error.strerror or str(error) or type(error).__name__
