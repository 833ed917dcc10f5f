"""One plain page, so that a person sees at a glance which release answers."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from aiohttp import web

from .context import CONTEXT

COLOURS = {False: "#1f4e79", True: "#2e7d32"}


def answer_page(
    request: web.Request, title: str, facts: Mapping[str, object], links: Mapping[str, str] | None = None
) -> web.Response:
    """The facts as HTML, or as JSON where the client accepts that; 500 when broken on purpose."""
    context = request.app[CONTEXT]
    if context.breakage.of_pages():
        return web.json_response({"error": "broken on purpose"}, status=500)
    identity = context.settings.identity
    if "application/json" in request.headers.get("Accept", ""):
        return web.json_response({"stack": identity.profile.name, "release": identity.release, **facts})
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>" for name, value in facts.items())
    items = "".join(f'<li><a href="{escape(url)}">{escape(name)}</a></li>' for name, url in (links or {}).items())
    text = f"""<!doctype html>
<html lang="ja"><head><meta charset="utf-8"><title>{escape(title)}</title></head>
<body style="font-family: sans-serif; border-top: 8px solid {COLOURS[identity.better]}">
<h1>{escape(title)}</h1><table>{rows}</table><ul>{items}</ul>
<p>{escape(identity.profile.name)} {escape(identity.release)}{" – better than before" if identity.better else ""}</p>
</body></html>
"""
    return web.Response(text=text, content_type="text/html")
