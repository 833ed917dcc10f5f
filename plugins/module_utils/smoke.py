"""Run smoke tests: log in where a test says so, ask the page or talk through the web socket, have the answer judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from .gateway.dialling import Target
from .gateway.http_probe import ask
from .gateway.web_socket import talk
from .model.smoke import Observed, SmokeResult, SmokeTest
from .plan.smoke import cookie_header, cookies_of, judge, login_body, login_fault, without_secrets

_PARALLEL = 8


def run_smoke(
    tests: Iterable[SmokeTest], target_of: Callable[[SmokeTest], Target], secrets: Mapping[str, str] | None = None
) -> list[SmokeResult]:
    """Run every test at its target; ``secrets`` are the values that logins need, by name.

    Several at a time, results in the order of the tests. Lasts at most as long as the slowest test's timeout for
    every eight tests.
    """
    values = dict(secrets or {})

    def run(test: SmokeTest) -> SmokeResult:
        return _run(test, target_of, values)

    with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="smoke") as pool:
        return list(pool.map(run, tests))


def _run(test: SmokeTest, target_of: Callable[[SmokeTest], Target], secrets: Mapping[str, str]) -> SmokeResult:
    began = time.monotonic()
    headers: dict[str, str] = {}
    if test.login:
        lacking = sorted(set(test.login.secrets()) - set(secrets))
        if lacking:
            return SmokeResult(test.name, False, f"this host has no value of {', '.join(lacking)} to log in with")
        answer = without_secrets(_log_in(test, target_of, secrets), _needed(test, secrets))
        if fault := login_fault(test.login, answer):
            return SmokeResult(test.name, False, fault, answer.ms)
        headers = cookie_header(cookies_of(answer))
    left = max(0.05, test.timeout - (time.monotonic() - began))
    seen = _ask(test, target_of(test), headers, left)
    return replace(judge(test, without_secrets(seen, _needed(test, secrets))), ms=(time.monotonic() - began) * 1000)


def _needed(test: SmokeTest, secrets: Mapping[str, str]) -> list[str]:
    return [secrets[name] for name in test.login.secrets()] if test.login else []


def _log_in(test: SmokeTest, target_of: Callable[[SmokeTest], Target], secrets: Mapping[str, str]) -> Observed:
    assert test.login is not None
    body, content = login_body(test.login, secrets)
    target = target_of(replace(test, path=test.login.path))
    headers = {"Content-Type": content}
    return ask(target, test.login.path, method="POST", body=body, headers=headers, timeout=test.timeout)


def _ask(test: SmokeTest, target: Target, headers: Mapping[str, str], timeout: float) -> Observed:
    if test.web_socket:
        send, expect = test.web_socket.send, test.web_socket.expect
        return talk(target, test.path, send=send, expect=expect, timeout=timeout, headers=headers)
    return ask(target, test.path, method=test.method, timeout=timeout, headers=headers)
