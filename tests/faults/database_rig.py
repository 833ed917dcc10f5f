"""A real PostgreSQL with TLS, a real name server and a container that stands in for the application.

Everything is on a network of its own, made from the lab's images, so that a fault disturbs nobody. Server, name server
and network live for the whole suite; there is one application container for each kind of settings a fault needs.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import docker
import psycopg

from plugins.module_utils.diagnose_database import Answer, Request, look
from plugins.module_utils.gateway.engine import Engine
from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.gateway.namespace import run_inside
from plugins.module_utils.model.stack import parse_tree
from tests.faults.database_parts import HOST, NETWORK, PASSWORD, Authority, Settings, hba, stack_tree, until
from tests.faults.database_recording import record_case

PREFIX = NETWORK
DATABASE_IMAGE = "seisei-lab/postgres:17"
NAMES_IMAGE = "seisei-lab/dns:1"
ADMIN = "faults-administrator"
ENVIRONMENT = "faults"
_POSTGRES = "/usr/lib/postgresql/17/bin"
_START_S = 30


class Rig:
    """The server, the name server and the network; use as a context manager."""

    def __init__(self, folder: Path, record: Path | None = None) -> None:
        self.client = docker.from_env()
        self.folder = folder
        self.record = record
        self.authority = Authority("faults authority")
        self._ending = contextlib.ExitStack()
        self._applications: dict[Settings, str] = {}

    def __enter__(self) -> Rig:
        self._sweep()
        self.network = self.client.networks.create(PREFIX, driver="bridge", labels={"ops.seisei.faults": "true"})
        self._ending.callback(self._sweep)
        self.server = self.client.containers.run(
            DATABASE_IMAGE,
            entrypoint=["sleep", "infinity"],
            name=f"{PREFIX}-server",
            network=PREFIX,
            init=True,
            tmpfs={"/data": "size=192m,uid=999,gid=999,mode=0700"},
            environment={"PGDATA": "/data/17"},
            detach=True,
        )
        self.address = self._address(self.server)
        self._initialise()
        self.names = self._name_server()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.close()

    def _sweep(self) -> None:
        """Remove what this suite made, also what an interrupted run left."""
        for container in self.client.containers.list(all=True, filters={"name": f"^/{PREFIX}"}):
            container.remove(force=True, v=True)
        for network in self.client.networks.list(filters={"label": "ops.seisei.faults=true"}):
            network.remove()

    def _address(self, container: Any) -> str:
        container.reload()
        return str(container.attrs["NetworkSettings"]["Networks"][PREFIX]["IPAddress"])

    # -- the server ------------------------------------------------------------------------------------------------

    def execute(self, *command: str) -> str:
        """Run a command in the server's container as its user."""
        call = ["docker", "exec", str(self.server.name), *command]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stderr}")
        return str(done.stdout)

    def local(self, statement: str) -> str:
        """One statement as the administrator from inside, whatever is locked from outside."""
        return self.execute("psql", "-h", "/tmp", "-U", "admin", "-Atc", statement, "postgres").strip()

    def _initialise(self) -> None:
        self.place(self.server, "/data", {"password": (ADMIN, 0o400)}, owner=999)
        self.execute(
            f"{_POSTGRES}/initdb", "--pgdata=/data/17", "--username=admin", "--pwfile=/data/password",
            "--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync", "--wal-segsize=4",
        )  # fmt: skip
        self.certify(*self.authority.issue(HOST), reload=False)
        self.place(
            self.server,
            "/data/17",
            {
                "pg_hba.conf": (hba(_USUAL_RULE), 0o600),
                "postgresql.conf": (_CONFIGURATION, 0o600),
            },
            owner=999,
        )
        self.start()
        for statement in (
            f"create role odoo login password '{PASSWORD}'",
            "create role other login password 'other'",
            "create database acme owner odoo",
            "create database globex owner odoo",
        ):
            self.admin(statement)

    def start(self) -> None:
        """Start PostgreSQL and wait until it takes connections."""
        self.execute(f"{_POSTGRES}/pg_ctl", "--pgdata=/data/17", "--wait", "--silent", "--log=/data/log", "start")

    def stop(self) -> None:
        """Stop PostgreSQL; its container stays."""
        self.execute(f"{_POSTGRES}/pg_ctl", "--pgdata=/data/17", "--wait", "--silent", "--mode=immediate", "stop")

    def restart(self) -> None:
        """Stop and start."""
        self.stop()
        self.start()

    def connect(self, user: str, password: str, database: str = "acme") -> psycopg.Connection[Any]:
        """A session of the test's own, from outside."""
        return psycopg.connect(
            host=self.address, user=user, password=password, dbname=database, sslmode="require", autocommit=True
        )

    def admin(self, statement: str, database: str = "postgres") -> list[Any]:
        """One statement as the administrator."""
        with self.connect("admin", ADMIN, database) as session:
            found = session.execute(statement.encode())
            return found.fetchall() if found.description else []

    def certify(self, certificate: str, key: str, *, reload: bool = True) -> None:
        """Give the server another certificate."""
        self.place(self.server, "/data/17", {"server.crt": (certificate, 0o600), "server.key": (key, 0o600)}, owner=999)
        if reload:
            self.reload()

    def reload(self) -> None:
        """Have the server read its files, and wait until new sessions see that."""
        query = "select pg_conf_load_time()"
        before = self.local(query)
        self.local("select pg_reload_conf()")
        until(lambda: self.local(query) != before, 5, "reading of the configuration")

    @contextlib.contextmanager
    def setting(self, name: str, value: str) -> Iterator[None]:
        """A server setting for a while."""
        self.local(f"alter system set {name} = {value}")
        self.reload()
        try:
            yield
        finally:
            self.local(f"alter system reset {name}")
            self.reload()

    @contextlib.contextmanager
    def rules(self, *lines: str) -> Iterator[None]:
        """Other host rules for a while."""
        self._rule(*lines)
        try:
            yield
        finally:
            self._rule(_USUAL_RULE)

    def _rule(self, *lines: str) -> None:
        self.place(self.server, "/data/17", {"pg_hba.conf": (hba(*lines), 0o600)}, owner=999)
        self.reload()

    @contextlib.contextmanager
    def undone(self, statement: str, undo: str) -> Iterator[None]:
        """A statement and what takes it back."""
        self.admin(statement)
        try:
            yield
        finally:
            self.admin(undo)

    # -- the network -----------------------------------------------------------------------------------------------

    def _name_server(self) -> Any:
        container = self.client.containers.run(
            NAMES_IMAGE,
            ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--local=/lab/", "--log-facility=-"]
            + [f"--host-record={name},{self.address}" for name in (HOST, "db.production.lab", "other.faults.lab")]
            + ["--host-record=loop.faults.lab,127.0.0.1", "--txt-record=text.faults.lab,no address"],
            name=f"{PREFIX}-names",
            network=PREFIX,
            detach=True,
        )
        self.name_server = self._address(container)
        return container

    @contextlib.contextmanager
    def dropped(self, *rule: str) -> Iterator[None]:
        """A packet filter rule in the server's network for a while."""

        def change(action: str) -> None:
            command = ["iptables", "-w", action, "INPUT", *rule]
            self.server.reload()
            run_inside(
                self.server.attrs["State"]["Pid"],
                ("net",),
                lambda: subprocess.run(command, check=True, capture_output=True).returncode,
                deadline_s=10,
            )

        change("-I")
        try:
            yield
        finally:
            change("-D")

    @contextlib.contextmanager
    def frozen(self, container: Any) -> Iterator[None]:
        """A container that is there and does nothing."""
        container.pause()
        try:
            yield
        finally:
            container.unpause()

    # -- the application -------------------------------------------------------------------------------------------

    def place(self, container: Any, folder: str, files: Mapping[str, tuple[str, int]], owner: int = 0) -> None:
        """Write files into a container: name to text and mode."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for name, (text, mode) in files.items():
                data = text.encode()
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode, entry.uid, entry.gid = len(data), mode, owner, owner
                archive.addfile(entry, io.BytesIO(data))
        if folder.startswith("/data"):  # a tmpfs, which the engine's copy does not reach
            self._unpack(container, folder, packed.getvalue())
        else:
            container.put_archive(folder, packed.getvalue())

    def _unpack(self, container: Any, folder: str, data: bytes) -> None:
        subprocess.run(
            ["docker", "exec", "-i", container.name, "tar", "-x", "-C", folder],
            input=data,
            check=True,
            capture_output=True,
        )

    def application(self, settings: Settings) -> str:
        """The environment of a container with these settings, that does nothing. It stays for the next fault."""
        if settings not in self._applications:
            self._applications[settings] = f"{ENVIRONMENT}-{len(self._applications) + 1}"
            self._make_application(settings, self._applications[settings])
        return self._applications[settings]

    def _make_application(self, settings: Settings, environment: str) -> None:
        variables = {
            "DB_HOST": settings.host,
            "DB_PORT": settings.port,
            "DB_USER": settings.user,
            "DB_PASSWORD_FILE": "/etc/faults/password",
            "DB_NAMES": settings.names,
            "DB_SSLMODE": settings.tls,
            "DB_SSLROOTCERT": "/etc/faults/ca.pem",
        }
        container = self.client.containers.create(
            DATABASE_IMAGE,
            entrypoint=["sleep", "infinity"],
            name=f"{PREFIX}-application-{environment}",
            network=PREFIX,
            init=True,
            user="10001:10001",
            dns=[self.name_server],
            environment={name: value for name, value in variables.items() if value},
            labels={
                "ops.seisei.environment": environment,
                "ops.seisei.stack": "odoo18",
                "ops.seisei.service": "web",
                "ops.seisei.number": "1",
                "ops.seisei.release": "sha-19b9b98",
            },
        )
        ca = self.authority.pem if settings.ca is None else settings.ca
        files = {"faults/ca.pem": (ca, 0o444)} if ca else {}
        if settings.password is not None:
            files["faults/password"] = (settings.password, settings.password_mode)
        self.place(container, "/etc", {"faults/.keep": ("", 0o444), **files})
        if settings.running:
            container.start()

    @contextlib.contextmanager
    def neighbour(self, environment: str) -> Iterator[str]:
        """Another container of the same stack on the same network; its name."""
        labels = {"environment": environment, "stack": "odoo18", "service": "redis"}
        container = self.client.containers.run(
            DATABASE_IMAGE,
            entrypoint=["sleep", "infinity"],
            name=f"{PREFIX}-neighbour",
            network=PREFIX,
            init=True,
            dns=[self.name_server],
            labels={f"ops.seisei.{key}": value for key, value in labels.items()},
            detach=True,
        )
        try:
            yield str(container.name)
        finally:
            container.remove(force=True, v=True)

    def diagnose(
        self,
        settings: Settings | None = None,
        *,
        name: str = "",
        environment: str = "",
        blocked_limit_s: float = 5,
        **declared: Any,
    ) -> Answer:
        """Diagnose as the module does; recorded under ``name`` when a recording is made.

        ``environment`` stands for one whose application there is not.
        """
        answer = look(
            Request(
                stack=parse_tree(stack_tree(self.authority.pem, **declared)),
                environment=environment or self.application(settings or Settings()),
                password=PASSWORD,
                secret_id="faults/odoo18-database-password",
                limit=f"--limit {ENVIRONMENT}",
                foreign={"db.production.lab": "production"} if name == "wrong_server" else {},
                blocked_limit_s=blocked_limit_s,
            ),
            Engine(),
            HostState(self.folder, self.folder),
        )
        if self.record and name:
            record_case(self.record / f"{name}.json", answer, settings or Settings(), self)
        return answer


_USUAL_RULE = "hostssl all all all scram-sha-256"
_CONFIGURATION = """
listen_addresses = '*'
unix_socket_directories = '/tmp'
max_connections = 12
superuser_reserved_connections = 3
ssl = on
password_encryption = 'scram-sha-256'
fsync = off
max_wal_size = 32MB
min_wal_size = 16MB
max_worker_processes = 2
"""
