"""What a release must answer before it may serve, and the words for what was answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .document import Node
from .route import host_fault
from .smoke_kinds import (
    LOGIN_KEYS,
    WEB_SOCKET_KEYS,
    Login,
    WebSocket,
    entry,
    parse_login,
    parse_web_socket,
    statuses,
)
from .vocabulary import Key, Keys

_METHODS = ("GET", "HEAD", "POST", "OPTIONS")
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class SmokeTest:
    """One question to a release, and what its answer must be.

    ``host`` empty means the first host of the stack's first route. ``status`` lists every accepted status. ``headers``
    must be answered exactly (names in any case). ``json`` maps dotted paths ("checks.database", "rows.0.id") to the
    value expected there. ``location`` is the redirect's target; one that starts with "/" is compared without scheme
    and host. ``timeout`` is in seconds, for the whole exchange. With ``login`` the page is asked for with the cookies
    that the login gave; with ``web_socket`` the path is upgraded instead of read.
    """

    name: str
    path: str
    method: str = "GET"
    host: str = ""
    status: tuple[int, ...] = (200,)
    headers: Mapping[str, str] = field(default_factory=dict)
    body_contains: str = ""
    json: Mapping[str, Any] = field(default_factory=dict)
    location: str = ""
    timeout: float = 5.0
    login: Login | None = None
    web_socket: WebSocket | None = None


@dataclass(frozen=True)
class Observed:
    """What came back for one request, or why nothing did.

    ``status`` is 0 and ``error`` one of "dns", "refused", "unreachable", "timeout", "tls", "closed", "protocol" when
    there was no whole answer; ``detail`` then says more. Header names are lower case. ``body`` may be cut (``cut``).
    ``ms`` is the time from connecting to the end of the body. ``set_cookies`` are the Set-Cookie headers, one by one.
    Of a web socket ``body`` has the texts that came, a line each, and ``closed`` the code with which the other side
    closed it, 0 when it did not.
    """

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    ms: float = 0.0
    error: str = ""
    detail: str = ""
    cut: bool = False
    set_cookies: tuple[str, ...] = ()
    closed: int = 0


@dataclass(frozen=True)
class SmokeResult:
    """Whether one test passed; if not, ``reason`` says in one sentence what was answered instead.

    ``ms`` is the time the answer took.
    """

    name: str
    passed: bool
    reason: str = ""
    ms: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The fields, for records and reports."""
        return {"name": self.name, "passed": self.passed, "reason": self.reason, "ms": round(self.ms, 1)}


SMOKE_KEYS = Keys(
    Key("name", "text", "Its name", required=True),
    Key("path", "path", "What is asked for", required=True),
    Key("method", " | ".join(_METHODS), "How", default="GET"),
    Key("host", "domain name", "Of which host", default="the first host of the first route"),
    Key(
        "status", "number | list", "Every status that is right", default="200, or any redirect where location is given"
    ),
    Key("headers", "mapping", "Headers that must be answered exactly"),
    Key("body_contains", "text", "What must be in the body"),
    Key("json", "mapping", "Values in a body of JSON, by dotted path"),
    Key("location", "URL | path", "Where it must redirect to"),
    Key("timeout", "duration", "For the whole exchange, at most 60s", default="5s"),
    Key("login", "mapping", "A login that comes before, whose cookies go with what is asked", keys=LOGIN_KEYS),
    Key("web_socket", "mapping", "Upgrades the path and talks, instead of reading a page", keys=WEB_SOCKET_KEYS),
)
_OF_A_PAGE = ("method", "status", "headers", "body_contains", "json", "location")


def parse_smoke(node: Node) -> tuple[SmokeTest, ...]:
    """Read ``x-ops.smoke``, a list of mappings. Errors are collected in the node."""
    tests: list[SmokeTest] = []
    for one in node.items():
        test = parse_smoke_test(one)
        if test.name and test.name in {other.name for other in tests}:
            one.reject(f"two smoke tests are named '{test.name}'", "give each its own name")
        tests.append(test)
    return tuple(tests)


def parse_smoke_test(node: Node) -> SmokeTest:
    """Read one smoke test."""
    keys = SMOKE_KEYS.of(node)
    for needed in ("name", "path"):
        if needed not in keys or keys[needed].value in (None, ""):
            node.reject(f"a smoke test needs '{needed}'", f"add '{needed}:' to this test")
    location = entry(node, keys, "location").text()
    test = SmokeTest(
        name=entry(node, keys, "name").text(),
        path=entry(node, keys, "path").text(pattern=r"/[!-~]*", hint="a path such as /web/health"),
        method=entry(node, keys, "method").choice(_METHODS, "GET"),
        host=_host(entry(node, keys, "host")),
        status=statuses(entry(node, keys, "status"), _REDIRECTS if location else (200,)),
        headers={name: value.text() for name, value in entry(node, keys, "headers").mapping().items()},
        body_contains=entry(node, keys, "body_contains").text(),
        json={path: value.value for path, value in entry(node, keys, "json").mapping().items()},
        location=location,
        timeout=_timeout(entry(node, keys, "timeout")),
        login=parse_login(entry(node, keys, "login")),
        web_socket=parse_web_socket(entry(node, keys, "web_socket")),
    )
    for key in _OF_A_PAGE if test.web_socket else ():
        if key in keys:
            keys[key].reject(f"a web socket has no '{key}'", "take it away, or ask for it in a test of its own")
    return test


def _host(node: Node) -> str:
    host = node.text()
    fault = host_fault(host) if host else None
    if fault:
        node.reject(f"host '{host}' {fault[0]}", fault[1])
    return host


def _timeout(node: Node) -> float:
    seconds = node.seconds(5.0)
    if not 0 < seconds <= 60:
        node.reject(f"{seconds:g} seconds is not a time a smoke test may take", "choose more than 0 and at most 60s")
        return 5.0
    return seconds
