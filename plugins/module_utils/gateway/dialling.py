"""A connection to an address of our choice: plain or TLS, ended at a deadline, its failures in one word."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache


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


@contextmanager
def connected(address: str, port: int, timeout: float) -> Iterator[socket.socket]:
    """A connection, closed in the end."""
    raw = socket.create_connection((address, port), timeout)
    try:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield raw
    finally:
        raw.close()


@contextmanager
def cut_off(raw: socket.socket, deadline: float) -> Iterator[None]:
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


def secured(raw: socket.socket, server_name: str, ca_pem: str | None, verify: bool) -> ssl.SSLSocket:
    """TLS on a connection."""
    return _context(ca_pem, verify).wrap_socket(raw, server_hostname=server_name)


@lru_cache(maxsize=8)
def _context(ca_pem: str | None, verify: bool) -> ssl.SSLContext:
    # Kept, because reading the machine's authorities takes longer than a whole request.
    context = ssl.create_default_context(cadata=ca_pem) if ca_pem else ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def kind_of(error: Exception, place: str, timeout: float) -> tuple[str, str]:
    """What an error means, as a word of :class:`Observed` and as a sentence."""
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
