"""What every request handler needs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from time import monotonic

from aiohttp import web

from .breakage import Breakage
from .databases import Databases
from .sessions import Sessions
from .settings import Settings


@dataclass
class Context:
    """One process's parts and what it is doing now."""

    settings: Settings
    databases: Databases
    sessions: Sessions | None
    breakage: Breakage
    stopping: bool = False
    in_flight: set[asyncio.Task[object]] = field(default_factory=set)
    web_sockets: set[web.WebSocketResponse] = field(default_factory=set)
    notices: set[asyncio.Task[None]] = field(default_factory=set)
    cut: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Context:
        """Build the parts, connecting to nothing yet."""
        return cls(
            settings=settings,
            databases=Databases(settings),
            sessions=Sessions(settings.cache) if settings.cache else None,
            breakage=Breakage(settings.breakage, settings.breakage_after_s, monotonic()),
        )


CONTEXT: web.AppKey[Context] = web.AppKey("context", Context)
