"""The edge's own stack file: its flags are given to a real Traefik, only addresses and directories replaced."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from plugins.module_utils.gateway.dialling import Target
from plugins.module_utils.gateway.edge import TRAEFIK_USER, EdgeApi, EdgeFiles
from plugins.module_utils.gateway.http_probe import ask
from plugins.module_utils.model.route import Route
from plugins.module_utils.model.service import Service
from plugins.module_utils.plan.edge import BASE, compile_base, compile_stack
from plugins.plugin_utils.estate import load_stack
from tests.lab.edge_parts import HOST, backend, free_port

VARIABLES = {
    "REGISTRY": "registry.invalid",
    "ACME_DIRECTORY": "https://127.0.0.1:1/dir",
    "ACME_EMAIL": "ops@example.test",
}
ENTRY_POINTS = {"web": 8080, "websecure": 8443, "internal": 8081, "traefik": 8082}

pytestmark = pytest.mark.slow


def service() -> Service:
    return load_stack("edge", VARIABLES).services["traefik"]


@dataclass
class Running:
    """Traefik with the stack's flags; ``ports`` by entry point; ``stop`` ends it and gives what it logged."""

    ports: dict[str, int]
    files: EdgeFiles
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self) -> list[dict[str, object]]:
        self.process.terminate()
        assert self.process.wait(timeout=30) == 0
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    files = EdgeFiles(tmp_path / "edge", owner=tmp_path.stat().st_uid)
    files.prepare()
    files.place(BASE, compile_base())
    ports = {name: free_port() for name in ENTRY_POINTS}
    log = tmp_path / "log"
    with log.open("wb") as sink:
        process = subprocess.Popen(_command(files, ports), stdout=sink, stderr=subprocess.STDOUT)
    try:
        _wait_ping(ports["traefik"])
        yield Running(ports, files, process, log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=30)


def _command(files: EdgeFiles, ports: dict[str, int]) -> list[str]:
    text = "\n".join(service().command or ())
    replaced = {"/etc/traefik/dynamic": str(files.dynamic), "/data/": f"{files.acme}/"}
    replaced |= {f".address=:{port}": f".address=127.0.0.1:{ports[name]}" for name, port in ENTRY_POINTS.items()}
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    return [str(Path(sys.executable).parent / "traefik"), *text.split("\n")]


def _wait_ping(port: int) -> None:
    deadline = time.monotonic() + 10
    while ask(Target("127.0.0.1", port, "edge"), "/ping").status != 200:
        assert time.monotonic() < deadline, "the edge does not start with the flags of its stack file"
        time.sleep(0.02)


def test_flags_hold_what_the_stack_file_promises(running: Running) -> None:
    with backend("sha-b10e000") as server:
        config = compile_stack(
            "shop", [Route("web", (HOST,), "web", server.port)], {"web": "127.0.0.1"}, cert_resolver=None
        )
        running.files.place("shop", config)
        EdgeApi(f"http://127.0.0.1:{running.ports['traefik']}").wait_live(config, 5)

        plain = ask(Target("127.0.0.1", running.ports["web"], HOST), "/shop?x=1")
        assert (plain.status, plain.headers["location"]) == (301, f"https://{HOST}/shop?x=1")

        secret = Target(
            "127.0.0.1", running.ports["websecure"], HOST, tls=True, verify=False, headers={"Authorization": "hidden-1"}
        )
        assert ask(secret, "/page?token=hidden-2").headers["x-release"] == server.release

        for path in ("/api/rawdata", "/metrics", "/dashboard/"):
            for entry_point in ("web", "websecure", "internal"):
                target = Target(
                    "127.0.0.1", running.ports[entry_point], "edge", entry_point == "websecure", verify=False
                )
                assert ask(target, path).status in (301, 404), f"{path} answers on {entry_point}"
        metrics = ask(Target("127.0.0.1", running.ports["traefik"], "edge"), "/metrics").body.decode()
        assert (
            'traefik_service_requests_total{code="200",method="GET",protocol="http",service="shop-web@file"} 1'
            in metrics
        )

    lines = running.stop()
    (page,) = [line for line in lines if line.get("RequestPath") == "/page"]
    assert page["DownstreamStatus"] == 200
    assert not any("hidden" in json.dumps(line) for line in lines), "the log carries a secret"


def test_container_is_closed_as_far_as_it_can_be() -> None:
    traefik = service()
    assert traefik.user == f"{TRAEFIK_USER}:{TRAEFIK_USER}"
    assert (traefik.read_only, traefik.cap_drop, traefik.cap_add) == (True, ("ALL",), ())
    assert {port.target for port in traefik.ports} == {ENTRY_POINTS["web"], ENTRY_POINTS["websecure"]}
    assert all(mount.source != "/var/run/docker.sock" for mount in traefik.mounts)
    assert [mount.target for mount in traefik.mounts if mount.kind == "bind" and not mount.read_only] == ["/data"]
