"""Odoo: one database per tenant, sessions in Redis, a file store, web sockets on a port of their own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from pathlib import Path

from aiohttp import web

from .. import web_socket
from ..context import CONTEXT
from ..databases import Database
from ..page import answer_page
from ..sessions import Sessions

COOKIE = "session_id"
FILE_NAME = re.compile(r"[^\W_][\w.-]{0,99}")
CHUNK = 256 * 1024

COUNTS = b"""
SELECT (SELECT count(*) FROM res_partner) AS customers, count(*) AS orders, sum(amount_total)::text AS amount_total,
       (SELECT count(*) FROM ir_attachment) AS attachments
FROM sale_order
"""
POINTS = b"SELECT sum(loyalty_points)::text AS loyalty_points FROM res_partner"
HAS_POINTS = b"""
SELECT 1 AS found FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = 'res_partner' AND column_name = 'loyalty_points'
"""
RECORD = b"""
INSERT INTO ir_attachment (name, bytes, sha256) VALUES (%s, %s, %s)
ON CONFLICT (name) DO UPDATE SET bytes = excluded.bytes, sha256 = excluded.sha256, stored_at = now()
"""


def routes() -> list[web.RouteDef]:
    """The web port's addresses."""
    return [
        web.get("/", _index),
        web.post("/web/login", _login),
        web.get("/web/session", _session),
        web.post("/web/upload", _upload),
        web.get("/web/content/{name}", _content),
        web.get("/web/database/manager", _database_manager),
    ]


def websocket_routes() -> list[web.RouteDef]:
    """The web socket port's addresses."""
    return [web.get("/websocket", _websocket)]


def _tenant(request: web.Request) -> str:
    tenant = request.app[CONTEXT].settings.tenants.tenant_of(request.host)
    if tenant is None:
        raise web.HTTPNotFound(text='{"error": "unknown tenant"}', content_type="application/json")
    return tenant


def _database(request: web.Request) -> Database:
    return request.app[CONTEXT].databases[_tenant(request)]


def _sessions(request: web.Request) -> Sessions:
    sessions = request.app[CONTEXT].sessions
    assert sessions is not None
    return sessions


async def _index(request: web.Request) -> web.Response:
    database = _database(request)
    facts: dict[str, object] = {"tenant": database.name, **(await database.rows(COUNTS))[0]}
    # A better release on the schema of the one before has no points to show, and says nothing of them.
    if request.app[CONTEXT].settings.identity.better and await database.rows(HAS_POINTS):
        facts.update((await database.rows(POINTS))[0])
    return answer_page(request, f"Odoo – {database.name}", facts)


async def _login(request: web.Request) -> web.Response:
    database = _database(request)
    is_json = request.content_type == "application/json"
    given = await request.json() if is_json else await request.post()
    login = str(given.get("login", "")) if hasattr(given, "get") else ""
    if request.app[CONTEXT].breakage.of_logins():
        return web.json_response({"error": "broken on purpose"}, status=401)
    if not await database.rows(b"SELECT 1 AS found FROM res_users WHERE login = %s", (login,)):
        return web.json_response({"error": "unknown login"}, status=401)
    identifier = await _sessions(request).create(database.name, login)
    response = web.json_response({"login": login, "tenant": database.name})
    secure = request.headers.get("X-Forwarded-Proto", request.scheme) == "https"
    response.set_cookie(COOKIE, identifier, httponly=True, secure=secure, samesite="Lax")
    return response


async def _session(request: web.Request) -> web.Response:
    session = await _sessions(request).read(_tenant(request), request.cookies.get(COOKIE, ""))
    if session is None:
        return web.json_response({"error": "no session"}, status=401)
    return web.json_response(session)


async def _upload(request: web.Request) -> web.Response:
    database = _database(request)
    file = _file(request, request.query.get("name", ""))
    await asyncio.to_thread(file.parent.mkdir, mode=0o750, exist_ok=True)
    size, digest = await _store(request, file)
    await database.rows(RECORD, (file.name, size, digest))
    return web.json_response({"name": file.name, "bytes": size, "sha256": digest}, status=201)


async def _store(request: web.Request, file: Path) -> tuple[int, str]:
    """Write the body beside its place, then move it there: no reader ever sees half a file."""
    digest = hashlib.sha256()
    size = 0
    handle, name = await asyncio.to_thread(tempfile.mkstemp, dir=file.parent, prefix=".incoming-")
    try:
        async for chunk in request.content.iter_chunked(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            await asyncio.to_thread(os.write, handle, chunk)
        await asyncio.to_thread(os.fsync, handle)
        await asyncio.to_thread(os.replace, name, file)
    except BaseException:
        await asyncio.to_thread(os.unlink, name)
        raise
    finally:
        os.close(handle)
    return size, digest.hexdigest()


async def _content(request: web.Request) -> web.StreamResponse:
    file = _file(request, request.match_info["name"])
    try:
        source = await asyncio.to_thread(file.open, "rb")
    except FileNotFoundError as error:
        raise web.HTTPNotFound from error
    # Sent from within the handler and not by the framework, so that a stop counts it as in flight.
    with source:
        size = os.fstat(source.fileno()).st_size
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream", "Content-Length": str(size)})
        await response.prepare(request)
        while chunk := await asyncio.to_thread(source.read, CHUNK):
            await response.write(chunk)
        await response.write_eof()
    return response


def _file(request: web.Request, name: str) -> Path:
    folder = request.app[CONTEXT].settings.file_store
    assert folder is not None
    if not FILE_NAME.fullmatch(name):
        raise web.HTTPBadRequest(text="name must be letters, digits, dot, dash and underscore\n")
    return folder / _tenant(request) / name


async def _database_manager(request: web.Request) -> web.Response:
    return answer_page(
        request, "Database manager", {"databases": ", ".join(request.app[CONTEXT].settings.tenants.tenants)}
    )


async def _websocket(request: web.Request) -> web.WebSocketResponse:
    _tenant(request)
    return await web_socket.talk(request)
