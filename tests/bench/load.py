"""HTTPS load at a fixed rate, from people's point of view: what was asked, what failed, which release answered.

    .venv/bin/python tests/bench/load.py --host acme.erp.production.lab --address 10.213.0.12 --rate 60 --seconds 10

Requests leave at their appointed time whether earlier ones came back or not, so a service that stalls is not spared.
The certificate is verified. Only loopback and the lab's own network can be asked. The exit code is 1 when a
request failed, 2 when the load could not begin.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import requests
from aiohttp.abc import AbstractResolver, ResolveResult

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from plugins.module_utils.model.errors import OpsError
from tests.bench.load_figures import Figures, Sample, measure

LAB = ipaddress.ip_network("10.213.0.0/24")
ROOTS = "https://10.213.0.5:15000/roots/0"
LAB_CA = Path(__file__).resolve().parents[2] / "build" / "lab" / "ca" / "ca.pem"
TIMEOUT_S = 15.0
SLOW_S = 1.0
UPLOAD = b"seisei" * 4096


@dataclass(frozen=True)
class Target:
    """Who is asked: ``host`` is the name in the request and in the certificate, ``address`` where the packets go.

    ``authority`` are the certificates (PEM) that are trusted, and no others are.
    """

    host: str
    address: str
    authority: str = field(repr=False)
    port: int = 443
    path: str = "/"
    release_header: str = "X-Release"

    def __post_init__(self) -> None:
        """Raises OpsError for an address that is neither loopback nor the lab's."""
        try:
            address = ipaddress.ip_address(self.address)
        except ValueError as error:
            raise OpsError(f"'{self.address}' is no address", where="load", do="give one of 10.213.0.0/24") from error
        if not address.is_loopback and address not in LAB:
            raise OpsError(
                f"{self.address} is not in the lab, and nothing else is ever put under load",
                where="load",
                do=f"give an address of {LAB}",
            )


def lab_authority() -> str:
    """The root certificate of the lab's ACME server, PEM. It is another one whenever that server starts.

    Raises OpsError when the lab does not answer.
    """
    try:
        answer = requests.get(ROOTS, verify=str(LAB_CA), timeout=10)
        answer.raise_for_status()
    except (OSError, requests.RequestException) as error:
        raise OpsError(f"the ACME server does not tell its root ({error})", where=ROOTS, do="make lab") from error
    return answer.text


class _OneAddress(AbstractResolver):
    """Leads every name to the target's address, whatever DNS says."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=self._address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None:
        """Nothing is held."""


# Half ask for the page, some of them over a new connection; one is slow, so that something is always under way.
_ROUND = (
    "page", "new connection", "quick", "upload", "page", "quick", "new connection", "slow", "page", "quick",
    "page", "new connection", "quick", "upload", "page", "quick", "new connection", "page", "page", "quick",
)  # fmt: skip


def kind_of(number: int) -> str:
    """What the request with this number is."""
    return _ROUND[number % len(_ROUND)]


class Load:
    """A load in a thread of its own, from entering to leaving the block; ``samples`` grows meanwhile.

    Leaving waits for the answers under way, each for at most TIMEOUT_S.
    """

    def __init__(self, target: Target, rate: float) -> None:
        self._target = target
        self._rate = rate
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._ended: Future[None] | None = None
        self.samples: list[Sample] = []
        self.began = 0.0

    def __enter__(self) -> Load:
        self.began = time.monotonic()
        self._ended = self._pool.submit(asyncio.run, self._run())
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        if self._ended:
            self._ended.result()

    def seconds(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self.began

    def figures(self, since: float = 0.0, until: float = float("inf")) -> Figures:
        """What came of the requests appointed between ``since`` and ``until`` (seconds of the load) and are over."""
        return measure([sample for sample in list(self.samples) if since <= sample.at < until], self._rate)

    async def _run(self) -> None:
        context = ssl.create_default_context(cadata=self._target.authority)
        async with self._session(context, fresh=False) as kept, self._session(context, fresh=True) as fresh:
            await self._send_on_time(kept, fresh)

    async def _send_on_time(self, kept: aiohttp.ClientSession, fresh: aiohttp.ClientSession) -> None:
        under_way: set[asyncio.Task[None]] = set()
        number = 0
        while not self._stop.is_set():
            due = number / self._rate
            await asyncio.sleep(max(0.0, due - self.seconds()))
            kind = kind_of(number)
            task = asyncio.create_task(self._ask(fresh if kind == "new connection" else kept, kind, due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            number += 1
        await asyncio.gather(*under_way)

    def _session(self, context: ssl.SSLContext, *, fresh: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=context, resolver=_OneAddress(self._target.address), limit=0, force_close=fresh
        )
        # The client repeats a GET by itself when a kept connection ends under it: counted, not hidden.
        trace = aiohttp.TraceConfig()
        trace.on_connection_create_end.append(_count_connection)
        trace.on_connection_reuseconn.append(_count_connection)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        return aiohttp.ClientSession(connector=connector, timeout=timeout, trace_configs=[trace], trust_env=False)

    async def _ask(self, session: aiohttp.ClientSession, kind: str, due: float) -> None:
        sent = self.seconds()
        connections: list[None] = []
        release, problem = "", ""
        try:
            release, problem = await self._exchange(session, kind, connections)
        except TimeoutError:
            problem = "timeout"
        except (aiohttp.ClientError, OSError) as error:
            problem = f"{type(error).__name__}: {error}"
        self.samples.append(
            Sample(kind, due, sent - due, self.seconds() - due, release, problem, max(0, len(connections) - 1))
        )

    async def _exchange(self, session: aiohttp.ClientSession, kind: str, connections: list[None]) -> tuple[str, str]:
        """One request, its answer read to the end: the release that answered, and what was wrong (empty: nothing)."""
        paths = {"slow": f"/slow?seconds={SLOW_S:g}", "upload": "/upload", "quick": "/whoami"}
        url = f"https://{self._target.host}:{self._target.port}{paths.get(kind, self._target.path)}"
        method, body = ("POST", UPLOAD) if kind == "upload" else ("GET", None)
        request = session.request(method, url, data=body, allow_redirects=False, trace_request_ctx=connections)
        async with request as answer:
            text = await answer.read()
            release = answer.headers.get(self._target.release_header, "")
            if not 200 <= answer.status < 300:
                return release, f"HTTP {answer.status}"
            if kind == "upload" and json.loads(text)["bytes"] != len(UPLOAD):
                return release, "upload cut short"
            return release, ""


async def _count_connection(_session: aiohttp.ClientSession, context: Any, _parameters: Any) -> None:
    context.trace_request_ctx.append(None)


def main(arguments: Sequence[str] | None = None) -> int:
    """Put one host under load for some seconds and tell what came of it."""
    options = _parser().parse_args(arguments)
    try:
        authority = options.ca.read_text() if options.ca else lab_authority()
        target = Target(options.host, options.address, authority, options.port, options.path)
        with Load(target, options.rate) as load:
            threading.Event().wait(options.seconds)
    except (OpsError, OSError) as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    figures = load.figures()
    told = {"host": target.host, "address": target.address, "rate": options.rate, **asdict(figures)}
    print(json.dumps(told, indent=2) if options.json else "\n".join(figures.lines()))
    return 1 if figures.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--host", required=True, help="name to ask for, as in the certificate")
    parser.add_argument("--address", required=True, help="address the packets go to, of the lab or loopback")
    parser.add_argument("--port", type=int, default=443)
    parser.add_argument("--path", default="/", help="the page that half of the requests ask for (/)")
    parser.add_argument("--rate", type=float, default=60, help="requests per second (60)")
    parser.add_argument("--seconds", type=float, default=10, help="how long (10)")
    parser.add_argument("--ca", type=Path, help="file of the trusted certificates (the lab's ACME root)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
