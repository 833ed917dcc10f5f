"""LangBot: an assistant one talks to through a web socket."""

from __future__ import annotations

from aiohttp import web

from .. import web_socket
from ..context import CONTEXT
from ..page import answer_page


def routes() -> list[web.RouteDef]:
    """The addresses."""
    return [web.get("/", _index), web.get("/ws", web_socket.talk)]


async def _index(request: web.Request) -> web.Response:
    return answer_page(request, "LangBot", {"conversations": len(request.app[CONTEXT].web_sockets)})
