"""A host with one released stack for tests of releases: real files, a simulated engine and a simulated edge.

Every call that changes anything can go wrong: of the engine, of the host's memory (a full disk, a death between two
writes), and of the edge's files.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils import probes
from plugins.module_utils.gateway.edge import EdgeApi, EdgeFiles
from plugins.module_utils.gateway.host_secrets import HostSecrets
from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.hands import Host, wanted_from
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.release import Request, deploy
from plugins.module_utils.runtime import ContainerRuntime
from tests.property.simulated_engine import KILLED_AFTER, KILLED_BEFORE, LOST, REFUSED, Faults, Killed, SimulatedEngine

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
OF_STATE = ("begin", "ended", "watch", "unwatch", "set_state", "add_record", "journal", "tell")
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


@mortal(OF_STATE)
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


@contextmanager
def simulated_edge() -> Iterator[None]:
    """Visitors of any host of these tests get an answer."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Visited)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probes, "INTERNAL_PORT", server.server_address[1])
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


def served(host: Host) -> str:
    """The release that the edge's file leads to."""
    config = host.files.all()[STACK]
    url = config["http"]["services"]["shop-web"]["loadBalancer"]["servers"][0]["url"]
    return next(sha for sha in (OLD, NEW) if sha.removeprefix("sha-") in url)
