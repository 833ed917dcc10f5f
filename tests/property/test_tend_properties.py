"""Whatever dies, refuses or loses its answer during a release: tending brings the stack to rest, and nothing is lost.

The real deploy, rollback, transaction and tend, with real files, over a simulated engine and a simulated edge. Every
call that changes anything can go wrong: of the engine, of the host's memory (a full disk, a death between two writes),
and of the edge's files.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import wraps
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugins.module_utils import transaction
from plugins.module_utils.gateway.edge import EdgeApi, EdgeFiles
from plugins.module_utils.gateway.host_secrets import HostSecrets
from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.hands import Host, wanted_from
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.receipt import DONE, STUCK, UNDONE
from plugins.module_utils.plan.edge import compile_stack
from plugins.module_utils.release import Request, deploy, roll_back
from plugins.module_utils.runtime import ContainerRuntime
from plugins.module_utils.tend import tend
from tests.property.simulated_engine import (
    FAULTS,
    KILLED_AFTER,
    KILLED_BEFORE,
    LOST,
    REFUSED,
    Faults,
    Killed,
    SimulatedEngine,
)

STACK = "shop"
OLD, NEW = "sha-1111111", "sha-2222222"
TREE: dict[str, Any] = {
    "name": STACK,
    "services": {"web": {"image": "r/shop:${RELEASE}", "healthcheck": {"test": ["CMD", "go"]}}},
    "x-ops": {
        "releases": ["web"],
        "routes": [{"name": "web", "hosts": ["shop.internal"], "service": "web", "port": 80, "entrypoint": "internal"}],
    },
}
_OF_STATE = ("begin", "ended", "watch", "unwatch", "set_state", "add_record", "journal", "tell")
_OF_FILES = ("place", "put_back", "keep_for_return", "forget_kept", "remove")


def mortal(methods: tuple[str, ...]) -> Callable[[type], type]:
    """These methods go wrong as the engine's do."""

    def wrap(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def call(self: Any, *given: Any, **named: Any) -> Any:
            fault = self.faults().next()
            if fault == REFUSED:
                raise OpsError(f"the disk refused {method.__name__}")
            if fault == KILLED_BEFORE:
                raise Killed
            done = method(self, *given, **named)
            if fault == LOST:
                raise OpsError(f"the disk refused the end of {method.__name__}")
            if fault == KILLED_AFTER:
                raise Killed
            return done

        return call

    def change(cls: type) -> type:
        for name in methods:
            setattr(cls, name, wrap(getattr(cls, name)))
        return cls

    return change


@mortal(_OF_STATE)
class MortalState(HostState):
    """The memory of a host whose disk may be full."""

    faults: Callable[[], Faults]


@mortal(_OF_FILES)
class MortalFiles(EdgeFiles):
    """The edge's files on that disk."""

    faults: Callable[[], Faults]


class SimulatedEdgeApi(EdgeApi):
    """Runs exactly what its files say."""

    def __init__(self, files: EdgeFiles) -> None:
        super().__init__("http://127.0.0.1:1")
        self._files = files

    def wait_live(self, config: Mapping[str, Any], deadline_s: float = 10.0) -> float:  # noqa: ARG002
        assert self._files.all().get(STACK) == config
        return 0.0

    def wait_absent(self, config: Mapping[str, Any], deadline_s: float = 10.0) -> float:  # noqa: ARG002
        assert STACK not in self._files.all()
        return 0.0


class EdgeHost(Host):
    """A host whose edge is the server of :func:`edge`."""

    def edge_address(self) -> str:
        return "127.0.0.1"

    def edge_api(self) -> EdgeApi:
        return SimulatedEdgeApi(self.files)


_served: dict[str, Host] = {}


class Visited(BaseHTTPRequestHandler):
    """Answers with the release that the edge's file leads to."""

    def do_GET(self) -> None:
        host = _served["host"]
        config = host.files.all().get(STACK, {})
        url = config["http"]["services"]["shop-web"]["loadBalancer"]["servers"][0]["url"] if config else ""
        release = next((sha for sha in (OLD, NEW) if sha.removeprefix("sha-") in url), "")
        self.send_response(200)
        self.send_header("X-Release", release)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture(autouse=True, scope="module")
def edge() -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Visited)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transaction, "INTERNAL_PORT", server.server_address[1])
        yield
    server.shutdown()


@contextmanager
def host_with_a_release() -> Iterator[tuple[EdgeHost, SimulatedEngine]]:
    """The old release is live; the edge leads to it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        root, engine = Path(folder), SimulatedEngine()
        engine.nets["shop_default"] = engine.nets["bridge"]
        state, files = MortalState(root / "var", root / "run"), MortalFiles(root / "edge", owner=os.geteuid())
        state.faults = files.faults = lambda: engine.faults
        files.prepare()
        secrets = HostSecrets(root / "secrets", root / "sealed", root / "key", seal=lambda name, _: name)
        host = EdgeHost(engine, state, secrets, files, ContainerRuntime(engine, "test", {}), "test")
        _served["host"] = host
        deploy(host, request(host), OLD)
        yield host, engine


def request(host: Host) -> Request:
    tree = json.loads(json.dumps(TREE))
    given = {"name": STACK, "tree": tree, "digests": {"web": "sha256:1"}}
    return Request(wanted_from(host, given, {}), {}, by="ann", why="test")


def attempt(engine: SimulatedEngine, faults: Mapping[int, str], what: Callable[[], Any]) -> None:
    """One try that may fail or die; the kernel lets its lock go, as it does for a dead process."""
    engine.faults = Faults(faults)
    with suppress(OpsError, Killed):
        what()
    engine.faults = Faults()


def tending(host: Host) -> Any:
    with host.state.locked(STACK, "tend"):
        return tend(host, STACK)


def at_rest(host: Host, engine: SimulatedEngine) -> None:
    """One release is live and recorded as such, the edge leads to it, and it runs; nothing else is left."""
    assert host.state.begun(STACK) is None
    state = host.state.state(STACK)
    live = host.state.record(STACK, state.live)
    stack = host.runtime.addresses(live)
    routes = transaction.parse_tree(live.tree, "").ops.routes
    assert host.files.all() == {STACK: compile_stack(STACK, routes, stack, cert_resolver=None)}
    running = {one.number for one in engine.found.values() if one.stack == STACK and one.running}
    assert state.live in running
    present = {one.number for one in engine.found.values() if one.stack == STACK}
    assert present <= {state.live, state.standby}, "what a release left was not removed"
    events = [event for event in host.state.history(STACK) if event["outcome"] != STUCK]
    assert len({event["transaction"] for event in events}) == len(events), "its end was told twice"
    assert all(event["outcome"] in (DONE, UNDONE) for event in events)
    told = [event["number"] for event in events if event["outcome"] == DONE]
    assert told[-1] == state.live
    assert not list(host.files.incoming.iterdir())
    with host.state.locked(STACK, "test"):
        pass


FAULT_PLAN = st.dictionaries(st.integers(1, 45), st.sampled_from(FAULTS), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=FAULT_PLAN, then=st.lists(FAULT_PLAN, max_size=2), back=st.booleans())
def test_whatever_went_wrong_tending_brings_the_stack_to_rest(
    first: dict[int, str], then: list[dict[int, str]], back: bool
) -> None:
    with host_with_a_release() as (host, engine):
        if back:
            deploy(host, request(host), NEW)
            attempt(engine, first, lambda: roll_back(host, request(host)))
        else:
            attempt(engine, first, lambda: deploy(host, request(host), NEW))
        for plan in then:
            attempt(engine, plan, lambda: tending(host))
        for _ in range(2):
            tending(host)
        tidy(host)
        at_rest(host, engine)


@pytest.mark.parametrize("fault", [KILLED_BEFORE, KILLED_AFTER])
def test_killed_at_any_call_it_is_at_rest_after_tending_once(fault: str) -> None:
    live, died = set(), 0
    for call in range(1, 48):
        with host_with_a_release() as (host, engine):
            attempt(engine, {call: fault}, lambda host=host: deploy(host, request(host), NEW))  # type: ignore[misc]
            begun = host.state.begun(STACK)
            died += begun is not None
            receipt = tending(host)
            assert (receipt is None) == (begun is None)
            at_rest(host, engine)
            state = host.state.state(STACK)
            assert state.bad == (), "being killed says nothing against a release"
            live.add(state.live)
    assert live == {1, 2}
    assert died > 30


@pytest.mark.parametrize("fault", [REFUSED, LOST])
@pytest.mark.parametrize("call", range(17, 31))
def test_an_undoing_that_fails_as_well_is_done_by_tending(call: int, fault: str) -> None:
    for second in range(call + 1, call + 5):
        with host_with_a_release() as (host, engine):
            attempt(engine, {call: fault, second: REFUSED}, lambda host=host: deploy(host, request(host), NEW))  # type: ignore[misc]
            tending(host)
            tidy(host)
            at_rest(host, engine)


@pytest.mark.parametrize("call", range(1, 28))
def test_a_disk_that_is_full_from_some_call_on_does_not_keep_traffic_from_the_old_release(call: int) -> None:
    with host_with_a_release() as (host, engine):
        before = set(_OF_STATE)
        engine.faults = Faults()
        counted = {"calls": 0}

        def full(name: str) -> Callable[..., Any]:
            method = getattr(type(host.state), name)

            def call_it(*given: Any, **named: Any) -> Any:
                counted["calls"] += 1
                if counted["calls"] >= call and name != "ended":
                    raise OpsError("no space left on device")
                return method(host.state, *given, **named)

            return call_it

        with pytest.MonkeyPatch.context() as patch:
            for name in before:
                patch.setattr(host.state, name, full(name))
            with suppress(OpsError):
                deploy(host, request(host), NEW)
            live = host.state.state(STACK).live
            assert served(host) == (OLD if live == 1 else NEW)
        for _ in range(2):
            tending(host)
        at_rest(host, engine)


def served(host: Host) -> str:
    config = host.files.all()[STACK]
    url = config["http"]["services"]["shop-web"]["loadBalancer"]["servers"][0]["url"]
    return next(sha for sha in (OLD, NEW) if sha.removeprefix("sha-") in url)


def tidy(host: Host) -> None:
    """What could not be removed while tidying up is told as a warning, and is left to the next run."""
    state = host.state.state(STACK)
    engine = cast(SimulatedEngine, host.engine)
    for name, one in list(engine.found.items()):
        if one.stack == STACK and one.number not in (state.live, state.standby):
            engine.stop(name)
            engine.remove(name)
