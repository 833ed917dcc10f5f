"""HTTPS load at a fixed rate, from people's point of view: what was asked, what failed, which release answered.

    .venv/bin/python tests/bench/load.py --host acme.erp.production.lab --address 10.213.0.12 --rate 60 --seconds 10

Requests leave at their appointed time whether earlier ones came back or not, so a service that stalls is not spared.
The certificate is verified. Only loopback and the lab's own network can be asked. The exit code is 1 when a
request failed, 2 when the load could not begin.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import ipaddress
import json
import math
import os
import ssl
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from plugins.module_utils.model.errors import OpsError
from tests.bench.load_figures import Figures, Sample, measure
from tests.bench.wire import Broken, Lines, Recalled, release_of_greeting, request_head

LAB = ipaddress.ip_network("10.213.0.0/24")
ROOTS = "https://10.213.0.5:15000/roots/0"
LAB_CA = Path(__file__).resolve().parents[2] / "build" / "lab" / "ca" / "ca.pem"
TIMEOUT_S = 15.0
SLOW_S = 1.0
_LATE_S = 1.0
MOST_P99_MS = 250.0
_TRIED_S, _TRIED_FROM, _MORE = 4.0, 100.0, 1.25
UPLOAD = b"seisei" * 4096


@dataclass(frozen=True)
class Target:
    """Who is asked: ``host`` is the name in the request and in the certificate, ``address`` where the packets go.

    ``authority`` are the certificates (PEM) that are trusted, and no others are. ``web_socket`` is the path of one that
    greets with its release and echoes; without it none is asked for.
    """

    host: str
    address: str
    authority: str = field(repr=False)
    port: int = 443
    path: str = "/"
    release_header: str = "X-Release"
    web_socket: str = ""

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


# Most ask for a page, some of them over a new connection; an answer, an upload and a web socket that take long are
# always under way.
_ROUND = (
    "page", "new connection", "quick", "upload", "page", "quick", "new connection", "slow", "page", "quick",
    "page", "new connection", "quick", "slow upload", "page", "quick", "new connection", "web socket", "page", "quick",
)  # fmt: skip


def kind_of(number: int, *, web_sockets: bool = False) -> str:
    """What the request with this number is."""
    kind = _ROUND[number % len(_ROUND)]
    return "page" if kind == "web socket" and not web_sockets else kind


class Visits:
    """What visitors do, one at a time or many: each kind of request, and what came of it."""

    def __init__(self, target: Target, since: Callable[[], float]) -> None:
        self._target = target
        self._since = since
        context = ssl.create_default_context(cadata=target.authority)
        self._lines = Lines(target.address, target.port, target.host, context)
        page, whole = request_head("GET", target.path, target.host), len(UPLOAD)
        self._heads = {
            "page": page,
            "new connection": page,
            "quick": request_head("GET", "/whoami", target.host),
            "slow": request_head("GET", f"/slow?seconds={SLOW_S:g}", target.host),
            "upload": request_head("POST", "/upload", target.host, whole),
            "slow upload": request_head("POST", "/upload", target.host, whole),
        }

    async def visit(self, kind: str, due: float) -> Sample:
        """Make one request that was due then (seconds of the load); never raises for what came of it."""
        sent = self._since()
        release, problem = "", ""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                release, problem = await (self._talk() if kind == "web socket" else self._request(kind))
        except TimeoutError:
            problem = "timeout"
        except Broken as error:
            problem = str(error)
        return Sample(kind, due, sent - due, self._since() - due, release, problem)

    def close(self) -> None:
        """Hang up."""
        self._lines.close()

    async def _request(self, kind: str) -> tuple[str, str]:
        """One request, its answer read to the end: the release that answered, and what was wrong (empty: nothing)."""
        line = await (self._lines.fresh() if kind == "new connection" else self._lines.kept())
        try:
            body = _body(kind)
            reply = await line.ask(self._heads[kind], body, SLOW_S / max(1, len(body) - 1))
        except BaseException:  # a request that is given up leaves a connection that nobody else may use
            line.close()
            raise
        if kind == "new connection":
            line.close()
        else:
            self._lines.keep(line)
        release = reply.headers.get(self._target.release_header.lower(), "")
        if not 200 <= reply.status < 300:
            return release, f"HTTP {reply.status}"
        if body and json.loads(reply.body)["bytes"] != len(UPLOAD):
            return release, "upload cut short"
        return release, ""

    async def _talk(self) -> tuple[str, str]:
        """A web socket that is there for a while; one that is told to connect anew does so, once."""
        for _ in range(2):
            with suppress(Recalled):
                return await self._talk_once()
        return "", "web socket sent away twice"

    async def _talk_once(self) -> tuple[str, str]:
        line = await self._lines.fresh()
        try:
            reply = await line.ask(_upgrade(self._target))
            if reply.status != 101:
                return "", f"HTTP {reply.status}"
            release = release_of_greeting(await line.heard())
            await asyncio.sleep(SLOW_S)
            echoed = await line.say("still there?")
            line.part()
            return release, "" if "still there?" in echoed else "web socket answers something else"
        finally:
            line.close()


def _body(kind: str) -> list[bytes]:
    if kind == "slow upload":
        quarter = len(UPLOAD) // 4
        return [UPLOAD[start : start + quarter] for start in range(0, len(UPLOAD), quarter)]
    return [UPLOAD] if kind == "upload" else []


def _upgrade(target: Target) -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    more = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
    return request_head("GET", target.web_socket, target.host, more=more)


class Load:
    """A load in a thread of its own, from entering to leaving the block; ``samples`` grows meanwhile.

    Leaving waits for the answers under way, each for at most TIMEOUT_S. Where this machine cannot keep up with its own
    visitors, so that they are a second late, those who wait are sent home and counted in ``skipped``: what a flood of
    them would break says nothing of a release. With ``niceness`` below 0 the machine serves this
    thread first: visitors are not on the machine that they ask, and must not be late because it is busy.
    """

    def __init__(self, target: Target, rate: float, niceness: int = 0) -> None:
        self._target = target
        self._rate = rate
        self._niceness = niceness
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._ended: Future[None] | None = None
        self.samples: list[Sample] = []
        self.skipped = 0
        self.began = 0.0

    def __enter__(self) -> Load:
        self.began = time.monotonic()
        self._ended = self._pool.submit(asyncio.run, self._run())
        return self

    def __exit__(self, *_exc: object) -> None:
        self._stop.set()
        self._pool.shutdown()
        if self._niceness:
            _weigh_session(0)
        if self._ended:
            self._ended.result()

    def seconds(self) -> float:
        """Seconds since the load began."""
        return time.monotonic() - self.began

    def figures(self, since: float = 0.0, until: float = float("inf")) -> Figures:
        """What came of the requests appointed between ``since`` and ``until`` (seconds of the load) and are over."""
        return measure([sample for sample in list(self.samples) if since <= sample.at < until], self._rate)

    async def _run(self) -> None:
        if self._niceness:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), self._niceness)
            _weigh_session(self._niceness)
        visits = Visits(self._target, self.seconds)
        under_way: set[asyncio.Task[None]] = set()
        number = 0
        while not self._stop.is_set():
            due = number / self._rate
            await asyncio.sleep(max(0.0, due - self.seconds()))
            if self.seconds() - due > _LATE_S:
                skipped = math.ceil((self.seconds() - due) * self._rate)
                self.skipped += skipped
                number += skipped
                continue
            kind = kind_of(number, web_sockets=bool(self._target.web_socket))
            task = asyncio.create_task(self._note(visits.visit(kind, due)))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            number += 1
        await asyncio.gather(*under_way)
        visits.close()

    async def _note(self, visit: Awaitable[Sample]) -> None:
        self.samples.append(await visit)


def _weigh_session(niceness: int) -> None:
    """Weigh this session against others: the kernel shares processors among sessions first (sched(7), autogroup), and a
    thread's own niceness counts only within its session. Kernels without autogroups have nothing to weigh."""
    with suppress(FileNotFoundError):
        Path("/proc/self/autogroup").write_text(str(niceness))


def most(target: Target, niceness: int = 0) -> float:
    """How many requests a second are kept up with: none fails, and 99 % are answered within MOST_P99_MS.

    Found by loads of the very kind that is measured with, of a few seconds each, every one of them a quarter more: an
    edge that is asked for far more than it can do has half-open connections for long afterwards.
    """
    rate = _TRIED_FROM
    while _keeps_up(target, rate * _MORE, niceness):
        rate *= _MORE
    return rate


def _keeps_up(target: Target, rate: float, niceness: int) -> bool:
    with Load(target, rate, niceness) as load:
        time.sleep(_TRIED_S)  # a load is time: nothing is waited for
    found = load.figures(since=_TRIED_S / 4)  # it warms up first
    return not (load.skipped or found.failed) and (found.p99_ms or math.inf) <= MOST_P99_MS


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
