"""A throw-away place for stand-ins: a network of its own, PostgreSQL, Redis, and the applications to try."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import psycopg
import requests
from docker.errors import BuildError
from docker.models.containers import Container
from docker.models.networks import Network

STANDINS = Path(__file__).resolve().parents[2] / "molecule" / "lab" / "standins"
BASE = "seisei-lab/debian:13"
GOOD, BETTER, BROKEN = "sha-19b9b98", "sha-724f892", "sha-0badbad"
PORTS = {"odoo18": 8069, "biznexus": 3000, "ocr": 8000, "langbot": 5300, "www": 8080}
HEALTH = {
    "odoo18": "/web/health",
    "biznexus": "/api/health",
    "ocr": "/health",
    "langbot": "/health",
    "www": "/healthz",
}
LIMIT_S = 30.0


@dataclass
class App:
    """A running stand-in."""

    name: str
    container: Container
    address: str

    def url(self, path: str, port: int | None = None) -> str:
        """An address of it."""
        return f"http://{self.address}:{port or PORTS[self.name]}{path}"

    def get(self, path: str, host: str = "acme.erp.test.lab", **more: Any) -> requests.Response:
        """One request on a connection of its own."""
        headers = {"Host": host, **more.pop("headers", {})}
        return requests.get(self.url(path), headers=headers, timeout=more.pop("timeout", 20), **more)

    def post(self, path: str, host: str = "acme.erp.test.lab", **more: Any) -> requests.Response:
        """One request on a connection of its own."""
        return requests.post(self.url(path), headers={"Host": host}, timeout=20, **more)

    def health(self) -> requests.Response:
        """Its health, asked the way a health check does: without a tenant's name."""
        return self.get(HEALTH[self.name], host=self.address)

    def wait_for_health(self, status: int) -> dict[str, Any]:
        """Ask until health is `status`; its body."""
        return wait_for(lambda: body_of(self.health(), status), f"{self.name}: health {status}")

    def stop(self) -> None:
        """Send SIGTERM and come back at once."""
        self.container.kill("SIGTERM")

    def exit_code(self) -> int:
        """Wait for its end."""
        return int(self.container.wait(timeout=60)["StatusCode"])

    def logs(self) -> list[dict[str, Any]]:
        """All log lines; each has to be JSON."""
        return [json.loads(line) for line in self.container.logs().decode().splitlines()]


def body_of(answer: requests.Response, status: int) -> dict[str, Any] | None:
    """The answer's JSON when it has this status."""
    return dict(answer.json()) if answer.status_code == status else None


def wait_for[Found](ask: Callable[[], Found | None], what: str, limit_s: float = LIMIT_S) -> Found:
    """Ask until there is an answer, connection errors counting as none."""
    end = time.monotonic() + limit_s
    last: Exception | None = None
    while time.monotonic() < end:
        try:
            found = ask()
        except (requests.RequestException, psycopg.Error) as error:
            found, last = None, error
        if found is not None:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {limit_s:g} s ({last})")


def in_background(call: Callable[..., Any], *arguments: Any, **more: Any) -> Future[Any]:
    """Call it in a thread of its own."""
    executor = ThreadPoolExecutor(max_workers=1)
    future = executor.submit(call, *arguments, **more)
    executor.shutdown(wait=False)
    return future


class Place:
    """Where the tests run; everything in it goes when they are over."""

    def __init__(self, engine: docker.DockerClient, secrets_folder: Path) -> None:
        self.engine = engine
        self.prefix = f"test-standins-{secrets.token_hex(3)}"
        self.password = secrets.token_urlsafe(24)
        self._folder = secrets_folder
        self._folder.chmod(0o755)
        self.write_secret("PASSWORD", self.password)
        self.write_secret("GEMINI", secrets.token_urlsafe(24))
        self.network: Network = engine.networks.create(self.prefix, labels={"test": "standins"})
        self.postgres = self.start_container(
            "postgres",
            "seisei-lab/postgres:17",
            environment={"POSTGRES_USER": "odoo", "POSTGRES_PASSWORD_FILE": "/secrets/PASSWORD"},
            command=["postgres", "-c", "fsync=off"],
        )
        self.redis = self.start_container("redis", "seisei-lab/redis:7")

    def write_secret(self, name: str, value: str) -> None:
        """A secret's file, readable in the containers."""
        file = self._folder / name
        file.write_text(value, "utf-8")
        file.chmod(0o644)

    def close(self) -> None:
        """Remove everything."""
        for container in self.engine.containers.list(all=True, filters={"name": f"{self.prefix}-"}):
            container.remove(force=True, v=True)
        self.network.remove()

    def start_container(self, name: str, image: str, **more: Any) -> Container:
        """A container in this place, hardened as ours are."""
        return self.engine.containers.run(
            image,
            name=f"{self.prefix}-{name}",
            hostname=name,
            detach=True,
            network=self.network.name,
            volumes={str(self._folder): {"bind": "/secrets", "mode": "ro"}, **more.pop("volumes", {})},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            **more,
        )

    def address(self, container: Container) -> str:
        """Its address on the place's network."""
        container.reload()
        return str(container.attrs["NetworkSettings"]["Networks"][self.network.name]["IPAddress"])

    def alias(self, container: Container) -> str:
        """The name others reach it by."""
        return str(container.name)

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        """A connection as the owner."""
        return psycopg.connect(
            host=self.address(self.postgres),
            user="odoo",
            password=self.password,
            dbname=database,
            autocommit=True,
            connect_timeout=5,
        )

    def create_database(self) -> str:
        """An empty database under a new name."""
        name = f"t{secrets.token_hex(4)}"
        with wait_for(self.connect, "PostgreSQL") as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return name

    def environment(self, profile: str, database: str, **more: str) -> dict[str, str]:
        """What the application is told."""
        told = {"LOG_LEVEL": "debug", "ALLOW_FAULTS": "1"}
        if profile in {"odoo18", "biznexus", "ocr"}:
            told |= {
                "DB_HOST": self.alias(self.postgres),
                "DB_USER": "odoo",
                "DB_PASSWORD_FILE": "/secrets/PASSWORD",
                "DB_NAMES" if profile == "odoo18" else "DB_NAME": database,
            }
        if profile == "odoo18":
            told |= {
                "REDIS_HOST": self.alias(self.redis),
                "TENANT_HOSTS": f"acme.erp.test.lab={database.split(',', maxsplit=1)[0]}",
            }
        if profile == "ocr":
            told["GEMINI_API_KEY_FILE"] = "/secrets/GEMINI"
        if profile == "biznexus":
            told["OCR_URL"] = "http://nowhere.invalid"
        return told | more

    @contextmanager
    def app(self, profile: str, release: str = GOOD, *, database: str = "", **told: str) -> Iterator[App]:
        """A running stand-in with a read-only root."""
        container = self.start_container(
            f"{profile}-{secrets.token_hex(3)}",
            image_of(self.engine, profile, release),
            environment=self.environment(profile, database, **told),
            read_only=True,
            tmpfs={"/tmp": "", "/var/lib/standin/filestore": "uid=10001,mode=0750"},
        )
        try:
            app = App(profile, container, self.address(container))
            wait_for(lambda: answers(app), f"{profile} answers")
            yield app
        except AssertionError:
            print(container.logs().decode()[-4000:])
            raise
        finally:
            container.remove(force=True, v=True)

    @contextmanager
    def start(self, profile: str, release: str, *command: str, database: str = "", **told: str) -> Iterator[Container]:
        """One command, under way."""
        container = self.start_container(
            f"{profile}-run-{secrets.token_hex(3)}",
            image_of(self.engine, profile, release),
            command=["python", "-m", "standin", *command],
            environment=self.environment(profile, database, **told),
            read_only=True,
            tmpfs={"/tmp": ""},
        )
        try:
            yield container
        finally:
            container.remove(force=True, v=True)

    def run(self, profile: str, release: str, *command: str, database: str = "", **told: str) -> tuple[int, str, str]:
        """Run one command to its end: exit code, stdout, stderr."""
        with self.start(profile, release, *command, database=database, **told) as container:
            code = int(container.wait(timeout=60)["StatusCode"])
            out = container.logs(stdout=True, stderr=False).decode()
            return code, out, container.logs(stdout=False, stderr=True).decode()


def answers(app: App) -> bool | None:
    """True as soon as it answers at all; fails at once when it has ended."""
    app.container.reload()
    assert app.container.status == "running", app.container.logs().decode()
    return True if app.get("/whoami").ok else None


def image_of(engine: docker.DockerClient, profile: str, release: str) -> str:
    """Build the image as build.json says; all but the first are a matter of a second."""
    images = json.loads((STANDINS / "build.json").read_text("utf-8"))
    (image,) = [entry for entry in images if (entry["name"], entry["tag"]) == (profile, release)]
    tag = f"test-standins/{profile}:{release}"
    if tag not in _built:
        try:
            engine.images.build(path=str(STANDINS), tag=tag, buildargs={"BASE": BASE, **image["args"]}, rm=True)
        except BuildError as error:
            log = "".join(str(line.get("stream", "")) for line in error.build_log)
            raise AssertionError(f"{tag} does not build: {log[-2000:]}") from error
        _built.add(tag)
    return tag


_built: set[str] = set()
