"""Ask a release over HTTP, at an address of our choice, and say exactly what came back."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from ..model.errors import OpsError
from ..model.smoke import Observed, SmokeResult, SmokeTest

_BODY_LIMIT = 256 * 1024
_PARALLEL = 8
_POLL_SECONDS = 0.01


@dataclass(frozen=True)
class Target:
    """Where to ask and as whom: ``address``:``port`` on the wire, ``host`` in the request and in TLS.

    ``ca_pem`` is the authority to trust; None means the machine's own. ``headers`` go with every request. Without
    ``verify`` any certificate will do: for asking who answers while a new domain's certificate is still on its way.
    """

    address: str
    port: int
    host: str
    tls: bool = False
    ca_pem: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    verify: bool = True

    def url(self, path: str) -> str:
        """The address in words, as an operator would type it."""
        default = 443 if self.tls else 80
        port = "" if self.port == default else f":{self.port}"
        return f"{'https' if self.tls else 'http'}://{self.host}{port}{path}"


def through_edge(address: str, host: str, *, ca_pem: str | None, port: int = 443) -> Target:
    """A host as a visitor sees it, asked at this edge whatever DNS says."""
    return Target(address, port, host, tls=True, ca_pem=ca_pem)


def off_edge(address: str, port: int, host: str) -> Target:
    """A container asked directly, with the headers the edge would send, before any visitor sees it."""
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": host, "X-Forwarded-For": "127.0.0.1"}
    return Target(address, port, host, headers=forwarded)


def ask(target: Target, path: str, *, method: str = "GET", timeout: float = 5.0) -> Observed:
    """:func:`probe` of a target."""
    return probe(
        f"{'https' if target.tls else 'http'}://{target.host}:{target.port}{path}",
        address=target.address,
        host_header=target.host,
        server_name=target.host,
        ca_pem=target.ca_pem,
        timeout=timeout,
        method=method,
        headers=target.headers,
        verify=target.verify,
    )


def probe(
    url: str,
    *,
    address: str = "",
    host_header: str = "",
    server_name: str = "",
    ca_pem: str | None = None,
    timeout: float = 5.0,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    verify: bool = True,
) -> Observed:
    """One request on a connection of its own; redirects are reported, never followed.

    Connects to ``address`` (else the URL's host) at the URL's port. ``server_name`` is asked for and checked in TLS
    (else the URL's host), ``host_header`` sent as Host. ``timeout`` in seconds covers everything from connecting to the
    last byte. Never raises for what the network or the other side does: that is in the answer's ``error``.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    start = time.monotonic()
    try:
        with _connected(address or host, port, timeout) as raw, _cut_off(raw, start + timeout):
            stream = _secured(raw, server_name or host, ca_pem, verify) if parts.scheme == "https" else raw
            asked = {"Host": host_header or parts.netloc, "Accept-Encoding": "identity", **(headers or {})}
            return _exchange(stream, method, path, asked, start)
    except (OSError, http.client.HTTPException) as error:
        kind, detail = _kind(error, f"{address or host}:{port}", timeout)
        return Observed(error=kind, detail=detail, ms=(time.monotonic() - start) * 1000)


@dataclass(frozen=True)
class Confirmation:
    """What it took to see a release in a row: milliseconds, requests made, and how many of them failed."""

    ms: float
    requests: int
    failed: int


def probe_until(
    shoot: Callable[[], Observed],
    release: str,
    *,
    header: str = "X-Release",
    in_a_row: int = 3,
    deadline_s: float = 10.0,
) -> Confirmation:
    """Ask until ``in_a_row`` answers one after the other carry the release in ``header``.

    Raises OpsError after ``deadline_s`` seconds, saying what was answered last. Any status counts as an answer: the
    header says who serves, smoke tests say how well.
    """
    start = time.monotonic()
    seen = requests = failed = 0
    while True:
        observed = shoot()
        requests += 1
        failed += bool(observed.error)
        found = "" if observed.error else observed.headers.get(header.lower(), "")
        seen = seen + 1 if found == release else 0
        elapsed = time.monotonic() - start
        if seen >= in_a_row:
            return Confirmation(elapsed * 1000, requests, failed)
        if elapsed >= deadline_s:
            raise _not_seen(release, header, observed, deadline_s)
        if not seen:
            time.sleep(_POLL_SECONDS)


def run_smoke(
    tests: Iterable[SmokeTest],
    target_of: Callable[[SmokeTest], Target],
    judge: Callable[[SmokeTest, Observed], SmokeResult],
) -> list[SmokeResult]:
    """Ask every test at its target and hand the answer to ``judge`` (:func:`plan.smoke.judge`).

    Several at a time, results in the order of the tests. Lasts at most as long as the slowest test's timeout for
    every eight tests.
    """

    def run(test: SmokeTest) -> SmokeResult:
        return judge(test, ask(target_of(test), test.path, method=test.method, timeout=test.timeout))

    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="smoke") as pool:
        return list(pool.map(run, tests))


def _not_seen(release: str, header: str, observed: Observed, deadline_s: float) -> OpsError:
    found = observed.headers.get(header.lower())
    if observed.error:
        last = f"the last request failed: {observed.detail}"
    elif found:
        last = f"the last answer was {observed.status} with {header} '{found}'"
    else:
        last = f"the last answer was {observed.status} without {header}"
    return OpsError(
        f"release {release} was not seen in a row within {deadline_s:g} s; {last}",
        where="edge",
        do="see what the edge leads to, and whether the release answers with its own name",
    )


# -- the exchange ------------------------------------------------------------------------------------------------------


@contextmanager
def _connected(address: str, port: int, timeout: float) -> Iterator[socket.socket]:
    raw = socket.create_connection((address, port), timeout)
    try:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield raw
    finally:
        raw.close()


@contextmanager
def _cut_off(raw: socket.socket, deadline: float) -> Iterator[None]:
    """End the exchange at the deadline even when single bytes keep coming; raises TimeoutError when that happened."""
    late = threading.Event()
    # A duplicate, because wrapping a socket in TLS takes the descriptor away from the first object.
    handle = raw.dup()

    def cut() -> None:
        late.set()
        with suppress(OSError):  # the other side was faster: there is nothing left to end
            handle.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    failure: Exception | None = None
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        failure = error
    finally:
        timer.cancel()
        timer.join()
        handle.close()
    # Whatever the cut looked like from inside, even an answer that seems whole without its last headers, it was late.
    if late.is_set():
        raise TimeoutError from failure
    if failure:
        raise failure


def _secured(raw: socket.socket, server_name: str, ca_pem: str | None, verify: bool) -> ssl.SSLSocket:
    return _context(ca_pem, verify).wrap_socket(raw, server_hostname=server_name)


@lru_cache(maxsize=8)
def _context(ca_pem: str | None, verify: bool) -> ssl.SSLContext:
    # Kept, because reading the machine's authorities takes longer than a whole request.
    context = ssl.create_default_context(cadata=ca_pem) if ca_pem else ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _exchange(stream: socket.socket, method: str, path: str, headers: Mapping[str, str], start: float) -> Observed:
    connection = http.client.HTTPConnection("unused")
    connection.sock = stream
    connection.auto_open = False
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**headers, "Connection": "close"}.items():
            connection.putheader(name, value)
        if method == "POST":
            connection.putheader("Content-Length", "0")
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read(_BODY_LIMIT + 1)
        if len(body) <= _BODY_LIMIT and answer.length:
            raise http.client.IncompleteRead(body, answer.length)
        ms = (time.monotonic() - start) * 1000
        return Observed(answer.status, _folded(answer), body[:_BODY_LIMIT], ms, cut=len(body) > _BODY_LIMIT)
    finally:
        connection.close()


def _folded(answer: http.client.HTTPResponse) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in answer.getheaders():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def _kind(error: Exception, place: str, timeout: float) -> tuple[str, str]:
    if isinstance(error, TimeoutError):
        return "timeout", f"{place} gave no whole answer within {timeout:g} s"
    if isinstance(error, ssl.SSLCertVerificationError):
        return "tls", f"the certificate of {place} is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "tls", f"TLS with {place} failed: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return "dns", f"the name in {place} is not known"
    if isinstance(error, ConnectionRefusedError):
        return "refused", f"nothing listens at {place}"
    if isinstance(error, (ConnectionError, http.client.RemoteDisconnected, http.client.IncompleteRead)):
        return "closed", f"{place} closed the connection before the answer was whole"
    if isinstance(error, http.client.HTTPException):
        return "protocol", f"{place} does not speak HTTP ({type(error).__name__})"
    return "unreachable", f"{place} cannot be reached: {error}"
