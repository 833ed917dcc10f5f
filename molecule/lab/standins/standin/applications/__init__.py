"""The addresses of each application's own."""

from __future__ import annotations

from aiohttp import web

from . import biznexus, langbot, ocr, odoo18, www

_ROUTES = {
    "biznexus": biznexus.routes,
    "langbot": langbot.routes,
    "ocr": ocr.routes,
    "odoo18": odoo18.routes,
    "www": www.routes,
}


def routes_of(profile: str) -> list[web.RouteDef]:
    """What the application answers on its main port."""
    return _ROUTES[profile]()


def websocket_routes_of(profile: str) -> list[web.RouteDef]:
    """What it answers on its web socket port, when it has one of its own."""
    return odoo18.websocket_routes() if profile == "odoo18" else []
