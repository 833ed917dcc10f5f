"""The public site: two static files."""

from __future__ import annotations

from aiohttp import web

from ..page import answer_page

STYLE = "body { margin: 2em auto; max-width: 40em }\n"


def routes() -> list[web.RouteDef]:
    """The addresses."""
    return [web.get("/", _index), web.get("/style.css", _style)]


async def _index(request: web.Request) -> web.Response:
    facts = {"what this is": "a stand-in for the public site, in a lab", "これは": "実験室の代役です"}
    return answer_page(request, "Seisei", facts, {"style": "/style.css"})


async def _style(_request: web.Request) -> web.Response:
    return web.Response(text=STYLE, content_type="text/css", headers={"Cache-Control": "public, max-age=3600"})
