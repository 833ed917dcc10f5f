"""OCR: reads documents, remembers each as a job, and needs a key to somebody else's model."""

from __future__ import annotations

import hashlib

from aiohttp import web

from ..context import CONTEXT
from ..page import answer_page

RECORD = b"INSERT INTO jobs (sha256, bytes, text) VALUES (%s, %s, %s) RETURNING id"
COUNTS = b"SELECT count(*) AS jobs, sum(bytes)::bigint AS bytes FROM jobs"
CONFIDENCE = b"SELECT round(avg(confidence), 3)::text AS mean_confidence FROM jobs"
HAS_CONFIDENCE = b"""
SELECT 1 AS found FROM information_schema.columns
WHERE table_schema = 'public' AND table_name = 'jobs' AND column_name = 'confidence'
"""


def routes() -> list[web.RouteDef]:
    """The addresses."""
    return [
        web.get("/", _index),
        web.post("/v1/recognise", _recognise),
        web.get("/v1/jobs", _jobs),
    ]


async def _index(request: web.Request) -> web.Response:
    return answer_page(request, "OCR", await _counts(request))


async def _jobs(request: web.Request) -> web.Response:
    return web.json_response(await _counts(request))


async def _counts(request: web.Request) -> dict[str, object]:
    database = request.app[CONTEXT].databases.only()
    facts = (await database.rows(COUNTS))[0]
    # A better release on the schema of the one before has no confidence to show, and says nothing of it.
    if request.app[CONTEXT].settings.identity.better and await database.rows(HAS_CONFIDENCE):
        facts.update((await database.rows(CONFIDENCE))[0])
    return facts


async def _recognise(request: web.Request) -> web.Response:
    context = request.app[CONTEXT]
    body = await request.read()
    digest = hashlib.sha256(body).hexdigest()
    text = f"{len(body)} bytes, {digest[:12]}"
    row = (await context.databases.only().rows(RECORD, (digest, len(body), text)))[0]
    answer = {"job": row["id"], "sha256": digest, "text": text, "release": context.settings.release}
    return web.json_response(answer, status=201)
