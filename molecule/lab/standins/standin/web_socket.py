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
    said = context.breakage.of_web_sockets()
    try:
        await socket.send_json({"stack": settings.profile.name, "release": settings.release, "pid": os.getpid()})
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_json({"said": "nothing"} if said else {"echo": message.data})
    finally:
        context.web_sockets.discard(socket)
    return socket


async def close_all(context: Context, *, restarts: bool = False) -> int:
    """Tell every web socket that its server leaves (1001), or that another takes over (1012); how many there were."""
    sockets = list(context.web_sockets)
    code = WSCloseCode.SERVICE_RESTART if restarts else WSCloseCode.GOING_AWAY
    message = b"another release takes over" if restarts else b"server is stopping"
    await asyncio.gather(*(socket.close(code=code, message=message) for socket in sockets))
    return len(sockets)
