"""The switch, against a real Traefik on loopback: what Traefik's promises are worth here, held by tests."""

from __future__ import annotations

import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.module_utils.gateway.dialling import Target, through_edge
from plugins.module_utils.gateway.edge import EdgeFiles
from plugins.module_utils.gateway.http_probe import ask, probe_until
from plugins.module_utils.gateway.sockets import wait_drained
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.route import INTERNAL, Route
from plugins.module_utils.model.smoke import Observed, SmokeTest
from plugins.module_utils.plan.edge import IDLE_SECONDS, Config, compile_stack, lint_all
from plugins.module_utils.plan.smoke import tally
from plugins.module_utils.smoke import run_smoke
from tests.lab.edge_parts import HOST, Backend, Edge, Load, backend, traefik

STACK = "shop"
SWITCHES = 20


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with traefik(tmp_path_factory.mktemp("edge")) as running:
        yield running


@pytest.fixture
def blue() -> Iterator[Backend]:
    with backend("sha-b10e000") as server:
        yield server


@pytest.fixture
def green() -> Iterator[Backend]:
    with backend("sha-9ee4000") as server:
        yield server


def config_to(server: Backend, *, host: str = HOST) -> Config:
    route = Route(name="web", hosts=(host,), service="web", port=server.port)
    return compile_stack(STACK, [route], {"web": "127.0.0.1"}, cert_resolver=None)


def switch_to(edge: Edge, server: Backend) -> float:
    config = config_to(server)
    edge.files.place(STACK, config)
    return edge.api.wait_live(config, 5)


def target(edge: Edge) -> Target:
    return through_edge("127.0.0.1", HOST, ca_pem=edge.ca_pem, port=edge.secure_port)


def test_switches_under_load_lose_no_request(edge: Edge, blue: Backend, green: Backend) -> None:
    switch_to(edge, blue)
    flips: list[float] = []
    seen: list[float] = []
    with Load(edge.secure_port, edge.ca_pem) as load:
        for number in range(SWITCHES):
            server = (green, blue)[number % 2]
            start = time.monotonic()
            switch_to(edge, server)
            flips.append((time.monotonic() - start) * 1000)
            probe_until(lambda: ask(target(edge), "/"), server.release)
            seen.append((time.monotonic() - start) * 1000)
    print(
        f"\n{SWITCHES} switches, {load.requests} requests, {len(load.failures)} failed, live after "
        f"{min(flips):.0f}-{max(flips):.0f} ms (median {statistics.median(flips):.0f}), "
        f"seen three times in a row after {statistics.median(seen):.0f} ms"
    )
    assert load.failures == []
    assert load.requests > SWITCHES * 20
    assert set(load.releases) == {blue.release, green.release}
    assert statistics.median(flips) < 500


def test_after_a_switch_the_old_backend_gets_nothing_new(edge: Edge, blue: Backend, green: Backend) -> None:
    switch_to(edge, blue)
    with Load(edge.secure_port, edge.ca_pem) as load:
        probe_until(lambda: ask(target(edge), "/"), blue.release)
        switch_to(edge, green)
        drained = wait_drained(os.getpid(), {blue.port}, 10)
        # Nobody listens any more: a single request that still went there would fail.
        blue.server_close()
        before = load.requests
        deadline = time.monotonic() + 10
        while load.requests < before + 200:
            assert time.monotonic() < deadline, "the load stopped"
            time.sleep(0.01)
    assert drained.left == 0
    # The edge lets go of idle connections after IDLE_SECONDS; without that setting it would take 90 seconds.
    assert drained.seconds < IDLE_SECONDS + 1.5
    assert load.failures == []


def test_slow_request_in_flight_survives_and_is_seen_by_the_drain(edge: Edge, blue: Backend, green: Backend) -> None:
    switch_to(edge, blue)
    answers: list[Observed] = []
    slow = threading.Thread(target=lambda: answers.append(ask(target(edge), "/?seconds=2.5", timeout=10)))
    slow.start()
    assert blue.slow_started.wait(5)
    switch_to(edge, green)
    assert wait_drained(os.getpid(), {blue.port}, 0).left == 1
    cut = wait_drained(os.getpid(), {blue.port}, 0.3)
    assert cut.left == 1, "a drain that ends before its requests says how many it leaves"
    whole = wait_drained(os.getpid(), {blue.port}, 20)
    slow.join()
    assert whole.left == 0
    assert (answers[0].status, answers[0].headers["x-release"]) == (200, blue.release)


def test_web_socket_stays_on_the_old_backend_until_it_closes(edge: Edge, blue: Backend, green: Backend) -> None:
    route = Route(name="bus", hosts=("bus.internal",), service="web", port=blue.port, entrypoint=INTERNAL)
    config = compile_stack("bus", [route], {"web": "127.0.0.1"}, cert_resolver=None)
    edge.files.place("bus", config)
    edge.api.wait_live(config, 5)
    with socket.create_connection(("127.0.0.1", edge.internal_port), 5) as client, client.makefile("rwb") as stream:
        stream.write(b"GET / HTTP/1.1\r\nHost: bus.internal\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        stream.flush()
        while stream.readline().strip():
            continue
        moved = compile_stack(
            "bus",
            [Route("bus", ("bus.internal",), "web", green.port, "", INTERNAL)],
            {"web": "127.0.0.1"},
            cert_resolver=None,
        )
        edge.files.place("bus", moved)
        edge.api.wait_live(moved, 5)
        time.sleep(IDLE_SECONDS + 0.5)
        stream.write(b"hello\n")
        stream.flush()
        assert stream.readline() == f"{blue.release} hello\n".encode()
        assert wait_drained(os.getpid(), {blue.port}, 0.3).left == 1
    assert wait_drained(os.getpid(), {blue.port}, 5).left == 0


def test_broken_neighbour_is_named(edge: Edge, blue: Backend, green: Backend) -> None:
    switch_to(edge, blue)
    stray = edge.files.dynamic / "aaa-by-hand.yml"
    stray.write_text("http: {routers: [unclosed\n")
    try:
        edge.files.place(STACK, config_to(green))
        with pytest.raises(OpsError) as caught:
            edge.api.wait_live(config_to(green), 1)
        still = ask(target(edge), "/").headers["x-release"]
    finally:
        stray.unlink()
    said = str(caught.value)
    assert f"{stray}: the file is not one of ours" in said
    assert f"leads to http://127.0.0.1:{blue.port}" in said
    assert "yaml" in said.partition("Cause:")[2], "Traefik's own words are part of the cause"
    assert still == blue.release, "the old routes serve on"
    edge.api.wait_live(config_to(green), 5)


def test_removed_route_is_gone_and_says_so(edge: Edge, blue: Backend) -> None:
    switch_to(edge, blue)
    assert edge.files.remove(STACK)
    edge.api.wait_absent(config_to(blue), 5)
    assert ask(target(edge), "/").status == 404


def test_wrong_target_is_told_with_what_is_live(edge: Edge, blue: Backend, green: Backend) -> None:
    switch_to(edge, blue)
    with pytest.raises(OpsError, match=rf"leads to http://127\.0\.0\.1:{blue.port}, wanted .*{green.port}"):
        edge.api.wait_live(config_to(green), 0.2)


def test_host_change_of_a_route_is_not_live_before_the_edge_has_it(edge: Edge, blue: Backend) -> None:
    switch_to(edge, blue)
    assert edge.api.differences(config_to(blue)) == []
    assert any("rule" in line for line in edge.api.differences(config_to(blue, host="other.example.test")))


def test_longest_prefix_wins_and_ends_at_a_slash(edge: Edge, blue: Backend, green: Backend) -> None:
    routes = [
        Route("web", (HOST, "second.example.test", "third.example.test"), "web", blue.port),
        Route("bus", (HOST,), "bus", green.port, path_prefix="/websocket"),
    ]
    config = compile_stack(STACK, routes, {"web": "127.0.0.1", "bus": "127.0.0.1"}, cert_resolver=None)
    edge.files.place(STACK, config)
    edge.api.wait_live(config, 5)
    released = {path: ask(target(edge), path).headers["x-release"] for path in ("/", "/websocket", "/websockets")}
    assert released == {"/": blue.release, "/websocket": green.release, "/websockets": blue.release}
    assert ask(target(edge), "/websocket/health").headers["x-release"] == green.release


def test_security_headers_are_added_and_versions_hidden(edge: Edge, blue: Backend) -> None:
    switch_to(edge, blue)
    headers = ask(target(edge), "/").headers
    assert headers["strict-transport-security"] == "max-age=31536000"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert "server" not in headers


def test_public_host_does_not_answer_on_the_internal_entry_point(edge: Edge, blue: Backend) -> None:
    switch_to(edge, blue)
    assert ask(Target("127.0.0.1", edge.internal_port, HOST), "/").status == 404


def test_smoke_tests_through_the_edge(edge: Edge, blue: Backend) -> None:
    switch_to(edge, blue)
    tests = (
        SmokeTest("front page", "/", body_contains=blue.release),
        SmokeTest("release", "/", headers={"X-Release": blue.release}),
        SmokeTest("missing page", "/?status=404", status=(404,)),
        SmokeTest("broken page", "/?status=500"),
    )
    results = run_smoke(tests, lambda _: target(edge))
    assert tally(results) == "3/4"
    assert "answered 500, wanted 200" in results[3].reason


def test_certificate_that_nobody_vouches_for_is_a_tls_error(edge: Edge, blue: Backend) -> None:
    switch_to(edge, blue)
    answer = ask(through_edge("127.0.0.1", HOST, ca_pem=None, port=edge.secure_port), "/")
    assert (answer.error, answer.status) == ("tls", 0)
    other = ask(through_edge("127.0.0.1", "wrong.example.test", ca_pem=edge.ca_pem, port=edge.secure_port), "/")
    assert other.error == "tls"
    assert "wrong.example.test" in other.detail


def test_what_is_placed_is_sound(edge: Edge, blue: Backend) -> None:
    switch_to(edge, blue)
    placed = EdgeFiles(edge.files.root).all()
    placed.pop("edge")
    assert lint_all(placed) == []
    assert edge.files.broken() == []
    assert list(Path(edge.files.incoming).iterdir()) == []
