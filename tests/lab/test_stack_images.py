"""The images that stacks use beside the applications keep the contract of the images they are named after."""

from __future__ import annotations

import io
import secrets
import tarfile
from collections.abc import Callable, Iterator
from typing import Any

import docker
import pytest
from docker.models.containers import Container
from labkit.containers import wait_until

pytestmark = pytest.mark.lab

type Start = Callable[..., Container]


@pytest.fixture
def client() -> docker.DockerClient:
    """The machine's engine."""
    return docker.from_env()


@pytest.fixture
def start(client: docker.DockerClient) -> Iterator[Start]:
    """Start a hardened container of an image: read-only root, no capabilities; removed afterwards with its volumes."""
    made: list[Container] = []

    def start(image: str, *, files: dict[str, str] | None = None, **options: Any) -> Container:
        hardened: dict[str, Any] = {
            "name": f"test-image-{secrets.token_hex(4)}",
            "read_only": True,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "tmpfs": {"/tmp": "size=16m"},
            "network_mode": "none",
            "labels": {"ops.seisei.test": "true"},
        }
        container = client.containers.create(image, **(hardened | options))
        made.append(container)
        if files:
            container.put_archive("/", archive(files))
        container.start()
        return container

    yield start
    for container in made:
        container.remove(force=True, v=True)


def archive(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as stream:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode, entry.uid = len(content), 0o400, 999
            stream.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()


def answer(container: Container, *command: str) -> str:
    result = container.exec_run(list(command))
    output = result.output if isinstance(result.output, bytes) else b"".join(result.output)
    return output.decode().strip()


def wait_for(container: Container, expected: str, *command: str) -> None:
    def probe() -> str:
        container.reload()
        if container.status != "running":
            return f"{container.status}: {container.logs(tail=5).decode()}"
        said = answer(container, *command)
        return "" if expected in said else said

    wait_until(probe, str(container.name), 30)


def test_redis_serves_under_a_read_only_root_and_stops_gracefully(start: Start) -> None:
    redis = start("seisei-lab/redis:7")
    wait_for(redis, "PONG", "redis-cli", "ping")
    assert answer(redis, "redis-cli", "set", "key", "value") == "OK"
    assert answer(redis, "id", "-u") == "999"
    redis.stop(timeout=10)
    redis.reload()
    assert redis.attrs["State"]["ExitCode"] == 0
    assert "bye bye" in redis.logs().decode()


def test_postgres_initialises_once_and_keeps_its_data(start: Start) -> None:
    settings = {"POSTGRES_USER": "ocr", "POSTGRES_DB": "jobs", "POSTGRES_PASSWORD_FILE": "/password"}
    # The password is put in place before the start, so the root is writable here; the next test has it read-only.
    postgres = start("seisei-lab/postgres:17", environment=settings, read_only=False, files={"password": "s3cret"})
    wait_for(postgres, "accepting connections", "pg_isready", "-h", "127.0.0.1", "-U", "ocr", "-d", "jobs")
    query = ("psql", "-U", "ocr", "-d", "jobs", "-Atc")
    answer(postgres, *query, "CREATE TABLE kept (value text); INSERT INTO kept VALUES ('still here')")
    assert answer(postgres, "id", "-u") == "999"
    postgres.stop(timeout=10)
    postgres.reload()
    assert postgres.attrs["State"]["ExitCode"] == 0
    postgres.start()
    wait_for(postgres, "accepting connections", "pg_isready", "-h", "127.0.0.1", "-U", "ocr", "-d", "jobs")
    assert answer(postgres, *query, "SELECT value FROM kept") == "still here"


def test_postgres_asks_for_the_password_over_the_network(start: Start) -> None:
    settings = {"POSTGRES_PASSWORD_FILE": "/tmp/password"}
    mount = docker.types.Mount("/tmp/password", __file__, type="bind", read_only=True)
    postgres = start("seisei-lab/postgres:17", environment=settings, mounts=[mount])
    wait_for(postgres, "accepting connections", "pg_isready", "-h", "127.0.0.1")
    refused = answer(postgres, "psql", "-h", "127.0.0.1", "-U", "postgres", "-w", "-c", "SELECT 1")
    assert "no password supplied" in refused


def test_postgres_without_a_password_file_says_so(start: Start) -> None:
    postgres = start("seisei-lab/postgres:17", environment={"POSTGRES_USER": "ocr"})
    assert postgres.wait(timeout=20)["StatusCode"] == 64
    assert "POSTGRES_PASSWORD_FILE names no readable file" in postgres.logs().decode()


def test_the_edge_is_the_version_it_is_named_after(start: Start) -> None:
    traefik = start("seisei-lab/traefik:3.7", command=["version"])
    assert traefik.wait(timeout=20)["StatusCode"] == 0
    assert "3.7." in traefik.logs().decode()
