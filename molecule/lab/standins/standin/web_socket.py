"""A web socket that says who it is, echoes, and is told when its server leaves."""

from __future__ import annotations

import asyncio
import os

from aiohttp import WSCloseCode, WSMsgType, web

from .context import CONTEXT, Context

HEARTBEAT_S = 30.0
# A client that does not answer the close must not hold up the stop.
CLOSE_ANSWER_S = 2.0


async def talk(request: web.Request) -> web.WebSocketResponse:
    """Greet with stack, release and pid; echo each text; until either side closes."""
    context = request.app[CONTEXT]
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_S, timeout=CLOSE_ANSWER_S)
    await socket.prepare(request)
    task = asyncio.current_task()
    assert task is not None
    # From here on it is no request that could finish: it is closed, not waited for.
    context.in_flight.discard(task)
    context.web_sockets.add(socket)
    settings = context.settings
    try:
        await socket.send_json({"stack": settings.profile.name, "release": settings.release, "pid": os.getpid()})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_json({"echo": message.data})
    finally:
        context.web_sockets.discard(socket)
    return socket


async def close_all(context: Context) -> int:
    """Tell every web socket that its server goes away (1001); how many there were."""
    sockets = list(context.web_sockets)
    await asyncio.gather(
        *(socket.close(code=WSCloseCode.GOING_AWAY, message=b"server is stopping") for socket in sockets)
    )
    return len(sockets)
