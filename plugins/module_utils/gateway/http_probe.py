"""Ask a release over HTTP, at an address of our choice, and say exactly what came back."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..model.errors import OpsError
from ..model.smoke import Observed
from .dialling import Target, connected, cut_off, kind_of, secured

_BODY_LIMIT = 256 * 1024
_POLL_SECONDS = 0.01


def ask(
    target: Target,
    path: str,
    *,
    method: str = "GET",
    timeout: float = 5.0,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Observed:
    """:func:`probe` of a target; ``headers`` are added to its own."""
    return probe(
        f"{'https' if target.tls else 'http'}://{target.host}:{target.port}{path}",
        address=target.address,
        host_header=target.host,
        server_name=target.host,
        ca_pem=target.ca_pem,
        timeout=timeout,
        method=method,
        headers={**target.headers, **(headers or {})},
        verify=target.verify,
        body=body,
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
    body: bytes = b"",
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
        with connected(address or host, port, timeout) as raw, cut_off(raw, start + timeout):
            stream = secured(raw, server_name or host, ca_pem, verify) if parts.scheme == "https" else raw
            asked = {"Host": host_header or parts.netloc, "Accept-Encoding": "identity", **(headers or {})}
            return _exchange(stream, method, path, asked, start, body)
    except (OSError, http.client.HTTPException) as error:
        kind, detail = kind_of(error, f"{address or host}:{port}", timeout)
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


def _exchange(
    stream: socket.socket, method: str, path: str, headers: Mapping[str, str], start: float, body: bytes
) -> Observed:
    connection = http.client.HTTPConnection("unused")
    connection.sock = stream
    connection.auto_open = False
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**headers, "Connection": "close"}.items():
            connection.putheader(name, value)
        if method == "POST":
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        found = answer.read(_BODY_LIMIT + 1)
        if len(found) <= _BODY_LIMIT and answer.length:
            raise http.client.IncompleteRead(found, answer.length)
        ms = (time.monotonic() - start) * 1000
        told = folded(answer.getheaders())
        cookies = tuple(answer.headers.get_all("Set-Cookie") or ())
        body, cut = found[:_BODY_LIMIT], len(found) > _BODY_LIMIT
        return Observed(answer.status, told, body, ms, cut=cut, set_cookies=cookies)
    finally:
        connection.close()


def folded(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by their name in lower case; one that comes several times has its values with commas."""
    headers: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers
