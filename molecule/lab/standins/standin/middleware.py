"""What is true of every request: who answers, one log line, and a count of what is in flight."""

from __future__ import annotations

import asyncio
import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from time import perf_counter

from aiohttp import web

from .context import CONTEXT, Context
from .databases import DatabaseUnavailable
from .log import tell
from .sessions import CacheUnavailable

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
ERROR = 500


async def sign_response(request: web.Request, response: web.StreamResponse) -> None:
    """Say which release answers; when stopping, ask the client to come back on a new connection."""
    context = request.app[CONTEXT]
    response.headers["X-Release"] = context.settings.release
    response.headers["X-Stack"] = context.settings.profile.name
    response.headers["X-Request-Id"] = _request_id(request)
    # Versions of what is inside are nobody's business.
    response.headers["Server"] = "standin"
    if context.stopping and not isinstance(response, web.WebSocketResponse):
        response.headers["Connection"] = "close"
        response.force_close()


@web.middleware
async def observe(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count the request while it lasts and log it when it is over."""
    context = request.app[CONTEXT]
    task = asyncio.current_task()
    assert task is not None
    started = perf_counter()
    # A web socket says when it begins; until then it is a request as any other.
    context.in_flight.add(task)
    status = ERROR
    cause: str | None = None
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as answer:
        status = answer.status
        raise
    except (DatabaseUnavailable, CacheUnavailable) as error:
        part = "database" if isinstance(error, DatabaseUnavailable) else "cache"
        cause = f"{part}: {error}"
        return web.json_response({"error": cause}, status=ERROR)
    except asyncio.CancelledError:
        cause = "cut"
        raise
    else:
        return response
    finally:
        context.in_flight.discard(task)
        _tell_request(context, request, status, started, cause)


def _tell_request(context: Context, request: web.Request, status: int, started: float, cause: str | None) -> None:
    level = logging.INFO
    if request.path == context.settings.profile.health_path:
        level = logging.DEBUG
    elif status >= ERROR:
        level = logging.ERROR
    fields: dict[str, object] = {
        "request_id": _request_id(request),
        "host": request.host,
        "method": request.method,
        "path": request.path,
        "status": status,
        "duration_ms": round((perf_counter() - started) * 1000, 1),
        "client": request.remote,
    }
    if cause:
        fields["error"] = cause
    tell("request", level=level, **fields)


def _request_id(request: web.Request) -> str:
    known = request.get("request_id")
    if isinstance(known, str):
        return known
    given = request.headers.get("X-Request-Id", "")
    identifier = given if SANE_ID.fullmatch(given) else uuid.uuid4().hex
    request["request_id"] = identifier
    return identifier
