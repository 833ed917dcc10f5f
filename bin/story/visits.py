"""Looking at a site as a visitor does: by name, over TLS with a verified certificate, at the host's own address."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from plugins.module_utils.model.errors import OpsError

PORT = 443
_TIMEOUT_S = 5.0
_PAUSE_S = 0.2


@dataclass(frozen=True)
class Visit:
    """What a visitor got: status (0: no answer), release, and why there was no answer."""

    status: int
    release: str = ""
    problem: str = ""


def visit(host: str, address: str, authority: str, path: str = "/") -> Visit:
    """Ask once."""
    try:
        context = ssl.create_default_context(cadata=authority)
        with (
            socket.create_connection((address, PORT), _TIMEOUT_S) as raw,
            context.wrap_socket(raw, server_hostname=host) as secure,
        ):
            connection = http.client.HTTPConnection(host)
            connection.sock = secure
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            return Visit(answer.status, answer.headers.get("X-Release", ""), f"HTTP {answer.status}")
    except (OSError, http.client.HTTPException) as error:
        return Visit(0, problem=str(error) or type(error).__name__)


def wait_until(ready: Callable[[], str], limit_s: float, where: str, do: str) -> float:
    """Ask ``ready`` until it has no complaint; return the seconds it took. Raises OpsError with its last complaint."""
    began = time.monotonic()
    while complaint := ready():
        if time.monotonic() - began > limit_s:
            raise OpsError(f"{complaint}, still after {limit_s:.0f} s", where=where, do=do)
        time.sleep(_PAUSE_S)
    return round(time.monotonic() - began, 2)
