"""Serving until told to stop, and stopping without cutting anyone off."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterable

from aiohttp import web

from .applications import routes_of, websocket_routes_of
from .context import CONTEXT, Context
from .health import answer_health
from .log import tell
from .middleware import observe, sign_response
from .on_demand import on_demand_routes
from .settings import Settings
from .web_socket import close_all

# What the framework may need on top, to send off answers that are ready.
FLUSH_S = 2.0
LARGEST_FORM = 1024 * 1024


def run_serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; 0."""
    asyncio.run(_serve(settings))
    return 0


async def _serve(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    context = Context.of(settings)
    await context.databases.open()
    runners = await _listen(context)
    loop.add_signal_handler(signal.SIGUSR1, _take_notice, context, loop)
    tell("serving", ports=[port for port in (settings.port, settings.websocket_port) if port])
    await stop.wait()
    await _stop(context, runners)
    await context.databases.close()
    if context.sessions:
        await context.sessions.close()


def build_application(context: Context, routes: Iterable[web.RouteDef]) -> web.Application:
    """One port's application: its own routes, health, and what is there on demand."""
    application = web.Application(middlewares=[observe], client_max_size=LARGEST_FORM)
    application[CONTEXT] = context
    application.on_response_prepare.append(sign_response)
    application.router.add_get(context.settings.profile.health_path, answer_health)
    application.router.add_routes([*routes, *on_demand_routes()])
    return application


async def _listen(context: Context) -> list[web.AppRunner]:
    settings = context.settings
    name = settings.profile.name
    ports = [(settings.port, routes_of(name))]
    if settings.websocket_port:
        ports.append((settings.websocket_port, websocket_routes_of(name)))
    runners = []
    for port, routes in ports:
        runner = web.AppRunner(
            build_application(context, routes),
            access_log=None,
            keepalive_timeout=75,
            shutdown_timeout=settings.stop_timeout_s + FLUSH_S,
        )
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", port, reuse_address=True).start()
        runners.append(runner)
    return runners


def _take_notice(context: Context, loop: asyncio.AbstractEventLoop) -> None:
    """Another release serves from now on: whoever holds a web socket is to come back to that one. We go on."""
    task = loop.create_task(_let_go(context))
    context.notices.add(task)
    task.add_done_callback(context.notices.discard)


async def _let_go(context: Context) -> None:
    tell("left", web_sockets_closed=await close_all(context, restarts=True))


async def _stop(context: Context, runners: list[web.AppRunner]) -> None:
    context.stopping = True
    in_flight = len(context.in_flight)
    tell("stopping", in_flight=in_flight, web_sockets=len(context.web_sockets))
    limit = asyncio.get_running_loop().call_later(context.settings.stop_timeout_s, _cut, context)
    closed, *_ = await asyncio.gather(close_all(context), *(runner.cleanup() for runner in runners))
    limit.cancel()
    tell(
        "stopped",
        in_flight=in_flight,
        finished=in_flight - context.cut,
        cut=context.cut,
        web_sockets_closed=closed,
    )


def _cut(context: Context) -> None:
    context.cut = len(context.in_flight)
    for task in context.in_flight:
        task.cancel()
