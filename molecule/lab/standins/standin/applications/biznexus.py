"""BizNexus: the front end for customers, with its own database, asking OCR to read what they scan."""

from __future__ import annotations

import json
import logging

import aiohttp
from aiohttp import web

from ..context import CONTEXT
from ..log import tell
from ..page import answer_page

OCR_ANSWER_S = 10.0

COUNTS = b"""
SELECT (SELECT count(*) FROM customers) AS customers, count(*) AS orders, sum(amount)::text AS amount,
       (SELECT count(*) FROM scans) AS scans
FROM orders
"""
GOLD = b"SELECT count(*) AS gold_customers FROM customers WHERE tier = 'gold'"
HAS_TIER = b"""
SELECT 1 AS found FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = 'customers' AND column_name = 'tier'
"""
RECORD = b"INSERT INTO scans (sha256, text) VALUES (%s, %s) RETURNING id"


def routes() -> list[web.RouteDef]:
    """The addresses."""
    return [
        web.get("/", _index),
        web.post("/api/scan", _scan),
        web.get("/_next/static/{release}/app.js", _asset),
    ]


async def _index(request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    database = context.databases.only()
    facts = (await database.rows(COUNTS))[0]
    # A better release on the schema of the one before has no tiers to show, and says nothing of them.
    if context.settings.identity.better and await database.rows(HAS_TIER):
        facts.update((await database.rows(GOLD))[0])
    return answer_page(request, "BizNexus", facts, {"script": f"/_next/static/{context.settings.release}/app.js"})


async def _scan(request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    url = f"{context.settings.ocr_url}/v1/recognise"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=OCR_ANSWER_S)) as client,
            client.post(url, data=await request.read()) as answer,
        ):
            answer.raise_for_status()
            job = await answer.json()
    except (aiohttp.ClientError, TimeoutError) as error:
        reason = str(error) or "no answer in time"
        tell("ocr failed", level=logging.ERROR, url=url, error=reason)
        return web.json_response({"error": f"ocr: {reason}"}, status=502)
    row = (await context.databases.only().rows(RECORD, (job["sha256"], job["text"])))[0]
    return web.json_response({"scan": row["id"], "ocr": job}, status=201)


async def _asset(request: web.Request) -> web.Response:
    release = request.app[CONTEXT].settings.release
    if request.match_info["release"] != release:
        raise web.HTTPNotFound
    return web.Response(
        text=f"globalThis.release = {json.dumps(release)};\n",
        content_type="text/javascript",
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
    )
