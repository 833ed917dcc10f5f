"""Judge what a release answered. Nothing here touches the network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from ..model.errors import OpsError
from ..model.masking import MASK
from ..model.route import Route, route_for
from ..model.smoke import Observed, SmokeResult, SmokeTest
from ..model.smoke_kinds import JSON, Login, WebSocket

_SHOWN = 120
_SWITCHING = 101
_MISSING = object()


def judge(test: SmokeTest, observed: Observed) -> SmokeResult:
    """Whether the answer is the one the test wants; the reason names the first thing that is not."""
    reason = _fault(test, observed)
    return SmokeResult(test.name, not reason, reason, observed.ms)


def tally(results: Sequence[SmokeResult]) -> str:
    """The count as people say it: ``4/4``."""
    return f"{sum(result.passed for result in results)}/{len(results)}"


def place_of(test: SmokeTest, routes: Sequence[Route]) -> tuple[str, Route]:
    """The host a test asks for and the route that takes its path.

    Raises OpsError when the stack has no route for them: such a test could only ever ask something else.
    """
    host = test.host or (routes[0].hosts[0] if routes and routes[0].hosts else "")
    route = route_for(routes, host, test.path)
    if route is None:
        raise OpsError(
            f"no route of the stack takes '{host}{test.path}'",
            where=f"smoke test '{test.name}'",
            do="name a host and a path of one of the stack's routes",
        )
    return host, route


def unplaced(tests: Iterable[SmokeTest], routes: Sequence[Route]) -> list[OpsError]:
    """One error for each test that no route takes; for checking a stack file before anything runs."""
    errors: list[OpsError] = []
    for test in tests:
        for path in (test.path, *([test.login.path] if test.login else [])):
            try:
                place_of(replace(test, path=path), routes)
            except OpsError as error:
                errors.append(error)
    return errors


def login_fault(login: Login, observed: Observed) -> str:
    """Why this is no login, in a sentence; empty when it is one. A status that is right and no cookie is none."""
    asked = f"the login POST {login.path}"
    if observed.error:
        return f"{asked} got no answer: {observed.detail or observed.error}"
    if observed.status not in login.status:
        return f"{asked} answered {observed.status}, wanted {_either(login.status)}{_excerpt(observed.body)}"
    return "" if cookies_of(observed) else f"{asked} answered {observed.status} and set no cookie"


def cookies_of(observed: Observed) -> dict[str, str]:
    """The cookies that an answer sets. One that it takes away (an empty value, or an age of 0) is none."""
    found: dict[str, str] = {}
    for text in observed.set_cookies:
        pair, *attributes = (part.strip() for part in text.split(";"))
        name, _, value = pair.partition("=")
        if name and value and "max-age=0" not in (attribute.lower() for attribute in attributes):
            found[name] = value
    return found


def cookie_header(cookies: Mapping[str, str]) -> dict[str, str]:
    """The header that sends cookies back; none without any."""
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}


def login_body(login: Login, secrets: Mapping[str, str]) -> tuple[bytes, str]:
    """What is posted to log in, and its content type."""
    fields = login.filled(secrets)
    if login.sent_as == JSON:
        return json.dumps(fields).encode(), "application/json"
    return urlencode(fields).encode(), "application/x-www-form-urlencoded"


def without_secrets(observed: Observed, values: Iterable[str]) -> Observed:
    """The answer with the values masked, should it repeat one: what it says may be quoted in a reason."""
    body, headers = observed.body, dict(observed.headers)
    for value in filter(None, values):
        body = body.replace(value.encode(), MASK.encode())
        headers = {name: text.replace(value, MASK) for name, text in headers.items()}
    return replace(observed, body=body, headers=headers)


def _fault(test: SmokeTest, observed: Observed) -> str:
    if test.web_socket:
        return _web_socket_fault(test, test.web_socket, observed)
    asked = f"{test.method} {test.path}"
    if observed.error:
        return f"{asked} got no answer: {observed.detail or observed.error}"
    if observed.status not in test.status:
        return f"{asked} answered {observed.status}, wanted {_either(test.status)}{_excerpt(observed.body)}"
    return _header_fault(test, observed) or _location_fault(test, observed) or _body_fault(test, observed)


def _web_socket_fault(test: SmokeTest, talk: WebSocket, observed: Observed) -> str:
    asked = f"the web socket {test.path}"
    if observed.error:
        return f"{asked} got no answer: {observed.detail or observed.error}"
    if observed.status != _SWITCHING:
        return f"{asked} was not opened: {observed.status}, wanted {_SWITCHING}{_excerpt(observed.body)}"
    if talk.expect.encode() in observed.body:
        return ""
    end = f"it was closed with {observed.closed}" if observed.closed else f"not within {test.timeout:g} s"
    said = _shown(" ".join(observed.body.decode(errors="replace").split()))
    return f"{asked} said {said}, wanted {_shown(talk.expect)}; {end}"


def _either(statuses: Sequence[int]) -> str:
    return " or ".join(str(status) for status in statuses)


def _header_fault(test: SmokeTest, observed: Observed) -> str:
    for name, wanted in test.headers.items():
        found = observed.headers.get(name.lower())
        if found != wanted:
            return f"header {name} is {_shown(found)}, wanted {_shown(wanted)}"
    return ""


def _location_fault(test: SmokeTest, observed: Observed) -> str:
    if not test.location:
        return ""
    found = observed.headers.get("location", "")
    if test.location.startswith("/"):
        parts = urlsplit(found)
        found = parts.path + (f"?{parts.query}" if parts.query else "")
    return "" if found == test.location else f"redirects to {_shown(found)}, wanted {_shown(test.location)}"


def _body_fault(test: SmokeTest, observed: Observed) -> str:
    if test.body_contains and test.body_contains.encode() not in observed.body:
        return f"the body does not contain {_shown(test.body_contains)}{_excerpt(observed.body)}"
    if not test.json:
        return ""
    try:
        document = json.loads(observed.body)
    except ValueError:
        return f"the body is not JSON{_excerpt(observed.body)}"
    for path, wanted in test.json.items():
        found = _at(document, path)
        if found is _MISSING:
            return f"the JSON has no '{path}'{_excerpt(observed.body)}"
        # True equals 1 in Python, and an answer of 1 is not an answer of true.
        if found != wanted or isinstance(found, bool) != isinstance(wanted, bool):
            return f"JSON '{path}' is {_shown(found)}, wanted {_shown(wanted)}"
    return ""


def _at(document: Any, path: str) -> Any:
    value = document
    for part in path.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return _MISSING
    return value


def _shown(value: Any) -> str:
    text = "missing" if value is None else f"'{value}'" if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _excerpt(body: bytes) -> str:
    text = " ".join(body[: 4 * _SHOWN].decode(errors="replace").split())
    return f" (body: {_shown(text)})" if text else ""
