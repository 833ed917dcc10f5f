"""Health: everything the application needs is really asked."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter

from aiohttp import web

from .breakage import REASON
from .context import CONTEXT, Context
from .databases import Database, DatabaseUnavailable
from .sessions import CacheUnavailable

Part = dict[str, object]
Check = Callable[[], Awaitable[Part]]


class Unwell(Exception):
    """A part cannot do its work; the text says why."""


async def answer_health(request: web.Request) -> web.Response:
    """200 when all parts work, else 503 naming those that do not."""
    context = request.app[CONTEXT]
    checks = _checks(context)
    results = await asyncio.gather(*(_measured(check) for check in checks.values()))
    parts = dict(zip(checks, results, strict=True))
    failed = [name for name, part in parts.items() if not part["ok"]]
    body: dict[str, object] = {
        "status": "fail" if failed else "pass",
        "stack": context.settings.profile.name,
        "release": context.settings.release,
        "parts": parts,
    }
    if failed:
        body["failed"] = failed
        body["reason"] = "; ".join(f"{name}: {parts[name]['reason']}" for name in failed)
    return web.json_response(body, status=503 if failed else 200, headers={"Cache-Control": "no-store"})


def _checks(context: Context) -> dict[str, Check]:
    checks: dict[str, Check] = {}
    if context.breakage.of_health():
        checks["release"] = _broken
    for database in context.databases.all():
        checks[f"database:{database.name}"] = _database_check(database)
    if context.sessions:
        checks["cache"] = _cache_check(context)
    if context.settings.file_store:
        checks["filestore"] = _file_store_check(context.settings.file_store)
    if context.settings.api_key_file:
        checks["api-key"] = _api_key_check(context.settings.api_key_file)
    return checks


async def _measured(check: Check) -> Part:
    started = perf_counter()
    try:
        part: Part = {"ok": True, **await check()}
    except (Unwell, DatabaseUnavailable, CacheUnavailable, OSError) as error:
        part = {"ok": False, "reason": str(error)}
    part["ms"] = round((perf_counter() - started) * 1000, 1)
    return part


async def _broken() -> Part:
    raise Unwell(REASON)


def _database_check(database: Database) -> Check:
    async def check() -> Part:
        head = await database.schema_head()
        if head is None:
            raise Unwell("schema missing")
        return {"schema": head}

    return check


def _cache_check(context: Context) -> Check:
    async def check() -> Part:
        assert context.sessions is not None
        await context.sessions.ping()
        return {}

    return check


def _file_store_check(folder: Path) -> Check:
    async def check() -> Part:
        if not await asyncio.to_thread(os.access, folder, os.W_OK | os.X_OK):
            raise Unwell(f"{folder} is not a writable directory")
        return {}

    return check


def _api_key_check(file: Path) -> Check:
    async def check() -> Part:
        if not (await asyncio.to_thread(file.read_text, "utf-8")).strip():
            raise Unwell(f"{file} is empty")
        return {}

    return check
