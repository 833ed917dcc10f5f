"""What the role container_engine achieves: how containers really run under its options."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

REGISTRY = "10.213.0.3:5000"
IMAGE = f"{REGISTRY}/redis:7"
SECRETS = Path(__file__).resolve().parents[3] / "build" / "lab" / "secrets.json"
LOGIN = "/run/seisei-probe-login"  # on tmpfs
POOL = ipaddress.IPv4Network("172.20.0.0/14")
SERVER, BARE = "redis-server --protected-mode no --save ''", ["--entrypoint ''"]

Run = Callable[..., str]


@pytest.fixture(scope="module", autouse=True)
def image(host: Host, ssh: Callable[..., subprocess.CompletedProcess[str]]) -> str:
    """An image of the lab's registry, pulled as a stack would: over TLS that the engine checks, after a login."""
    login = f"DOCKER_CONFIG={LOGIN} docker login --username ops --password-stdin {REGISTRY}"
    done = ssh("root", command=login, text=json.loads(SECRETS.read_text())["staging/registry-password"])
    assert done.returncode == 0, done.stderr
    host.check_output(f"DOCKER_CONFIG={LOGIN} docker pull --quiet {IMAGE} && rm -r {LOGIN}")
    return IMAGE


@pytest.fixture
def run(host: Host, image: str) -> Iterator[Run]:
    """``run(command, *options)`` starts a container in the background and gives its id; all are removed at the end."""
    started: list[str] = []

    def start(command: str, *options: str) -> str:
        started.append(host.check_output(f"docker run --detach {' '.join(options)} {image} {command}").splitlines()[-1])
        return started[-1]

    yield start
    if started:
        host.check_output(f"docker rm --force {' '.join(started)}")


def once(host: Host, command: str, *options: str) -> str:
    return str(host.check_output(f"docker run --rm {' '.join(options)} --entrypoint sh {IMAGE} -c '{command}'"))


def until(question: Callable[[], bool], what: str, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not question():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def inspect(host: Host, container: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(host.check_output("docker inspect %s", container))[0]
    return found


def test_the_engine_answers_and_starts_with_the_host(host: Host) -> None:
    info = json.loads(host.check_output("docker info --format '{{ json . }}'"))
    assert info["LiveRestoreEnabled"]
    assert not info.get("ServerErrors")
    assert host.check_output("systemctl is-enabled docker.service") == "enabled"


def test_a_container_asks_the_name_servers_it_was_given(host: Host) -> None:
    asked = [line for line in once(host, "cat /etc/resolv.conf").splitlines() if line.startswith("nameserver")]
    assert asked == ["nameserver 10.213.0.2", "nameserver 192.0.2.53"]
    assert "10.213.0.3" in once(host, "getent hosts registry.lab")


def test_a_log_never_grows_beyond_its_files(host: Host, run: Run) -> None:
    container = run("-c 'yes 0123456789012345678901234567890123456789 | head -n 60000'", "--entrypoint sh")
    host.check_output("docker wait %s", container)
    log = inspect(host, container)["LogPath"]
    sizes = [int(size) for size in host.check_output(f"stat --format=%s {log} {log}.1").split()]
    assert sum(sizes) < 2.2 * 1000 * 1000
    assert not host.file(f"{log}.2").exists
    assert host.check_output("docker logs --tail 1 %s", container).startswith("0123456789")


def test_containers_outlive_a_restart_of_the_engine(host: Host, run: Run) -> None:
    container = run("sleep 600", *BARE)
    before = inspect(host, container)["State"]["Pid"]
    host.check_output("systemctl reset-failed docker.service && systemctl restart docker.service")
    assert inspect(host, container)["State"]["Pid"] == before
    assert host.file(f"/proc/{before}").exists


def test_options_the_engine_refuses_never_take_it_down(
    host: Host, run: Run, run_module: Callable[..., dict[str, Any]]
) -> None:
    container = run("sleep 600", *BARE)
    path = "/etc/docker/daemon.json"
    good = host.file(path).content_string
    bad = {"path": path, "content": '{"live-restore": "perhaps"}', "restart": "docker.service"}
    host.check_output("systemctl reset-failed docker.service")
    refused = run_module("seisei.ops.host_setup", files=[bad])
    assert "the previous files are back and in force" in refused["msg"]
    assert refused["error"]["where"] == path
    assert host.file(path).content_string == good
    assert host.check_output("systemctl is-active docker.service") == "active"
    assert inspect(host, container)["State"]["Running"]


def test_containers_of_the_default_bridge_do_not_reach_each_other(host: Host, run: Run) -> None:
    server = run(SERVER, *BARE)
    address = inspect(host, server)["NetworkSettings"]["IPAddress"]
    until(lambda: "PONG" in host.run(f"docker exec {server} redis-cli ping").stdout, "redis did not start")
    ask = f"timeout 2 redis-cli -h {address} ping || echo unreachable"
    assert "unreachable" in once(host, ask)


def test_containers_of_one_network_do(host: Host, run: Run) -> None:
    host.check_output("docker network create probe")
    try:
        server = run(
            "redis-server --protected-mode no --save ''", "--entrypoint ''", "--network probe --name probe-server"
        )
        until(lambda: "PONG" in host.run(f"docker exec {server} redis-cli ping").stdout, "redis did not start")
        assert "PONG" in once(host, "timeout 2 redis-cli -h probe-server ping", "--network probe")
        host.check_output("docker rm --force %s", server)
        subnet = host.check_output("docker network inspect probe --format '{{ (index .IPAM.Config 0).Subnet }}'")
        assert ipaddress.IPv4Network(subnet).subnet_of(POOL)
        assert ipaddress.IPv4Network(subnet).prefixlen == 24
    finally:
        host.check_output("docker network rm probe")


def test_a_process_gains_no_privileges_and_opens_only_so_many_files(host: Host) -> None:
    assert "NoNewPrivs:\t1" in once(host, "cat /proc/self/status")
    assert once(host, "ulimit -Hn") == "4096"


def test_a_published_port_needs_no_proxy_process(host: Host, run: Run) -> None:
    run(SERVER, *BARE, "--publish 127.0.0.1:6399:6379")
    connect = 's = socket.create_connection(("127.0.0.1", 6399), 2)'
    ask = f'import socket; {connect}; s.sendall(b"PING\\r\\n"); print(s.recv(9))'
    until(lambda: "PONG" in host.run(f"python3 -c '{ask}'").stdout, "the published port does not answer")
    assert host.run("pgrep docker-proxy").rc == 1


def test_nobody_but_root_reaches_the_engine(host: Host) -> None:
    socket = host.file("/run/docker.sock")
    assert oct(socket.mode) == "0o660"
    assert host.group("docker").members == []
    assert "2375" not in host.check_output("ss --listening --tcp --numeric")
