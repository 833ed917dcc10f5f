"""The load's own client against a server that answers as servers may."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.bench.wire import Broken, Line, Recalled, request_head

Server = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def exchange(server: Server, client: Callable[[Line], Awaitable[Any]]) -> Any:
    """What the client's side of a connection to this server comes to."""

    async def run() -> Any:
        listener = await asyncio.start_server(server, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        _, line = await asyncio.get_running_loop().create_connection(Line, "127.0.0.1", port)
        try:
            async with asyncio.timeout(5):
                return await client(line)
        finally:
            line.close()
            listener.close()

    return asyncio.run(run())


def saying(*pieces: bytes, hold: bool = False) -> Server:
    """A server that answers the first request with these pieces, one after the other, and hangs up."""

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        if hold:
            await reader.read()
        writer.close()

    return server


HEAD = request_head("GET", "/", "shop.example.test")


def test_an_answer_may_come_in_any_pieces() -> None:
    pieces = (b"HTTP/1.1 200 OK\r\nX-Rel", b"ease: sha-a\r\nContent-Length: 4\r\n\r", b"\nab", b"cd")
    reply = exchange(saying(*pieces, hold=True), lambda line: line.ask(HEAD))
    assert (reply.status, reply.headers["x-release"], reply.body) == (200, "sha-a", b"abcd")


def test_a_chunked_answer_is_put_together() -> None:
    pieces = (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nab", b"c\r\n2\r\nde\r\n0\r\n\r\n")
    assert exchange(saying(*pieces, hold=True), lambda line: line.ask(HEAD)).body == b"abcde"


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ((), "closed by the other side before an answer"),
        ((b"HTTP/1.1 200 OK\r\nContent-Le",), "closed by the other side before an answer"),
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",), "closed by the other side within an answer"),
        (
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",),
            "closed by the other side within an answer",
        ),
        ((b"HTTP/1.1 200 OK\r\n\r\nabc",), "an answer without a length"),
    ],
)
def test_half_an_answer_is_none(pieces: tuple[bytes, ...], said: str) -> None:
    with pytest.raises(Broken, match=said):
        exchange(saying(*pieces), lambda line: line.ask(HEAD))


def test_an_answer_that_does_not_wait_for_the_whole_upload_is_read() -> None:
    head = request_head("POST", "/", "shop.example.test", 30)
    answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

    async def ask(line: Line) -> Any:
        reply = await line.ask(head, [b"a" * 10] * 3, 0.05)
        return reply.status, line.open

    assert exchange(saying(answer), ask) == (502, False)


def test_a_connection_that_the_other_side_ends_is_not_used_again() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    async def ask_twice(line: Line) -> Any:
        await line.ask(HEAD)
        await asyncio.sleep(0.1)
        return line.open

    assert exchange(saying(answer, hold=True), ask_twice) is True
    assert exchange(saying(answer), ask_twice) is False


def test_a_web_socket_that_was_answered_and_then_hung_up_on_ends_well() -> None:
    async def talk(line: Line) -> str:
        await line.ask(HEAD)
        echoed = await line.say("still there?")
        while line._transport and not line._transport.is_closing():
            await asyncio.sleep(0)
        line.part()
        return echoed

    answered = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x05hello"
    assert exchange(saying(answered), talk) == "hello"


def test_a_web_socket_says_and_hears_and_is_told_of_its_end() -> None:
    upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"
    long = b"x" * 200
    frames = b"\x81\x05hello" + b"\x89\x01p" + b"\x81\x7e" + len(long).to_bytes(2, "big") + long + b"\x88\x02"

    async def talk(line: Line) -> list[str]:
        reply = await line.ask(HEAD)
        assert (reply.status, line.open) == (101, False)
        return [await line.heard(), await line.say("still there?"), await line.heard()]

    with pytest.raises(Broken, match=r"web socket closed by the other side \(1006\)"):
        exchange(saying(upgrade + frames + (1006).to_bytes(2, "big"), hold=True), talk)
    for code in (1001, 1012):
        with pytest.raises(Recalled):
            exchange(saying(upgrade + frames + code.to_bytes(2, "big"), hold=True), talk)
