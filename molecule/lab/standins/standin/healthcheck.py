"""Asking one's own health address, with nothing but the standard library so that it costs little."""

from __future__ import annotations

import http.client
import json

from .settings import Settings

TIMEOUT_S = 5.0


def run_healthcheck(settings: Settings) -> int:
    """Print the reason and give 1 when the application is not well, else 0."""
    connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", settings.profile.health_path, headers={"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        print(f"no answer on port {settings.port}: {error}")
        return 1
    finally:
        connection.close()
    if answer.status == http.HTTPStatus.OK:
        print("pass")
        return 0
    print(_reason(answer.status, body))
    return 1


def _reason(status: int, body: bytes) -> str:
    try:
        return str(json.loads(body)["reason"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {status}"
