"""Addresses that behave as a test or a load asks them to, the same in every application."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket

from aiohttp import web

from .context import CONTEXT
from .log import tell

LONGEST_S = 300.0
TICK_S = 0.1
CRASH_EXIT_CODE = 70


def on_demand_routes() -> list[web.RouteDef]:
    """The addresses of README.md's table "On demand"."""
    return [
        web.get("/whoami", _whoami),
        web.route("*", "/echo", _echo),
        web.get("/slow", _slow),
        web.get("/stream", _stream),
        web.post("/upload", _upload),
        web.get("/fail", _fail),
        web.route("*", "/crash", _crash),
    ]


def seconds_asked(request: web.Request) -> float:
    """The query's ``seconds``, 1 by default. Raises HTTPBadRequest."""
    text = request.query.get("seconds", "1")
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= LONGEST_S:
        raise web.HTTPBadRequest(text=f"seconds must be a number from 0 to {LONGEST_S:g}\n")
    return seconds


async def _whoami(request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    settings = context.settings
    return web.json_response(
        {
            "stack": settings.profile.name,
            "release": settings.release,
            "pid": os.getpid(),
            "hostname": socket.gethostname(),
            # The one asking is in flight as well, and does not count.
            "in_flight": len(context.in_flight) - 1,
            "web_sockets": len(context.web_sockets),
        }
    )


async def _echo(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "method": request.method,
            "scheme": request.headers.get("X-Forwarded-Proto", request.scheme),
            "host": request.host,
            "path": request.path_qs,
            "client": request.headers.get("X-Forwarded-For", request.remote),
            "peer": request.remote,
            "headers": [[name, value] for name, value in request.headers.items()],
        }
    )


async def _slow(request: web.Request) -> web.Response:
    seconds = seconds_asked(request)
    await asyncio.sleep(seconds)
    return web.json_response({"waited_s": seconds, "release": request.app[CONTEXT].settings.release})


async def _stream(request: web.Request) -> web.StreamResponse:
    seconds = seconds_asked(request)
    response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
    response.enable_chunked_encoding()
    await response.prepare(request)
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    number = 0
    while (left := end - loop.time()) > 0:
        await response.write(f"{number}\n".encode())
        number += 1
        await asyncio.sleep(min(TICK_S, left))
    await response.write(b"end\n")
    await response.write_eof()
    return response


async def _upload(request: web.Request) -> web.Response:
    digest = hashlib.sha256()
    size = 0
    async for chunk in request.content.iter_any():
        digest.update(chunk)
        size += len(chunk)
    return web.json_response({"bytes": size, "sha256": digest.hexdigest()})


async def _fail(request: web.Request) -> web.Response:
    text = request.query.get("status", "500")
    if not (text.isdecimal() and 200 <= int(text) <= 599):
        raise web.HTTPBadRequest(text="status must be a number from 200 to 599\n")
    return web.Response(status=int(text), text=f"status {text} on demand\n")


async def _crash(request: web.Request) -> web.Response:
    if not request.app[CONTEXT].settings.allow_faults:
        raise web.HTTPNotFound
    tell("crash on demand")
    os._exit(CRASH_EXIT_CODE)
