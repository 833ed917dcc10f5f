"""Judge what a release answered. Nothing here touches the network."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from ..model.errors import OpsError
from ..model.route import Route, route_for
from ..model.smoke import Observed, SmokeResult, SmokeTest

_SHOWN = 120
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
        try:
            place_of(test, routes)
        except OpsError as error:
            errors.append(error)
    return errors


def _fault(test: SmokeTest, observed: Observed) -> str:
    asked = f"{test.method} {test.path}"
    if observed.error:
        return f"{asked} got no answer: {observed.detail or observed.error}"
    if observed.status not in test.status:
        wanted = " or ".join(str(status) for status in test.status)
        return f"{asked} answered {observed.status}, wanted {wanted}{_excerpt(observed.body)}"
    return _header_fault(test, observed) or _location_fault(test, observed) or _body_fault(test, observed)


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
