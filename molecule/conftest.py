"""How tests of scenarios reach the lab's hosts, and what these serve."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
import requests
import testinfra
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[1]
LAB = ROOT / "build" / "lab"
SSH = LAB / "ssh"
ADDRESS = "10.213.0.13"
ACME = "https://10.213.0.5:15000"
_SIGNING_SECONDS = 60
_STRICT = ["-F", "none", "-o", f"UserKnownHostsFile={SSH / 'known_hosts'}", "-o", "GlobalKnownHostsFile=/dev/null"]
_STRICT += ["-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes"]


@pytest.fixture(scope="session")
def connect(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Host]:
    """``connect(address)`` gives a host of the lab, as root, over one SSH connection."""
    folder = tmp_path_factory.mktemp("ssh")
    shared = f"-o ControlMaster=auto -o ControlPath={folder}/%h -o ControlPersist=30"
    extra = f"{' '.join(_STRICT)} {shared}"

    def connect(address: str) -> Host:
        return testinfra.get_host(
            f"ssh://root@{address}", ssh_identity_file=str(SSH / "id_ed25519"), ssh_extra_args=extra
        )

    return connect


@pytest.fixture(scope="session")
def host(connect: Callable[[str], Host]) -> Host:
    """The throw-away host, as root, over one SSH connection."""
    return connect(ADDRESS)


@pytest.fixture(scope="session")
def ssh() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A new login each time: ``ssh(user, *options, command="true", key=..., text="its standard input")``."""

    def login(
        user: str, *options: str, command: str = "true", key: Path = SSH / "id_ed25519", text: str = ""
    ) -> subprocess.CompletedProcess[str]:
        argv = ["ssh", *_STRICT, "-o", "BatchMode=yes", "-i", str(key), *options, f"{user}@{ADDRESS}", command]
        return subprocess.run(argv, input=text, capture_output=True, text=True, timeout=20, check=False)

    return login


@pytest.fixture(scope="session")
def run_module() -> Callable[..., dict[str, Any]]:
    """Run one module on the host through Ansible: ``run_module(name, check=False, **arguments)`` gives its result.

    ``variables`` names a file of variables that the run gets.
    """
    settings = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    }

    def run(name: str, *, check: bool = False, variables: str = "", **arguments: Any) -> dict[str, Any]:
        ansible = str(Path(sys.executable).with_name("ansible"))
        argv = [ansible, "role-1", "-i", "molecule/inventory", "-m", name, "--diff"]
        argv += ["-a", json.dumps(arguments)] if arguments else []
        argv += ["--check"] if check else []
        argv += ["-e", f"@{variables}"] if variables else []
        done = subprocess.run(
            argv, capture_output=True, text=True, cwd=ROOT, env=os.environ | settings, timeout=60, check=False
        )
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout)["plays"][0]["tasks"][0]["hosts"]["role-1"]
        return result

    return run


@dataclass(frozen=True)
class Answer:
    """What a visitor was answered."""

    status: int
    headers: Message
    body: str

    @property
    def document(self) -> dict[str, Any]:
        """The body, read as JSON."""
        read: dict[str, Any] = json.loads(self.body)
        return read


@pytest.fixture(scope="session")
def authority() -> str:
    """The root that the lab's ACME server signs under, as PEM."""
    answer = requests.get(f"{ACME}/roots/0", verify=str(LAB / "ca" / "ca.pem"), timeout=10)
    answer.raise_for_status()
    return answer.text


@pytest.fixture(scope="session")
def visit(authority: str) -> Callable[..., Answer]:
    """A request as a visitor's: ``visit(address, "shop.example", path="/", method="GET", body=None, headers=None)``.

    Over TLS with a certificate that is valid for the name, unless ``secure`` is false (plain HTTP) or ``verify`` is.
    """

    def visit(
        address: str,
        name: str,
        path: str = "/",
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        secure: bool = True,
        verify: bool = True,
    ) -> Answer:
        connection = http.client.HTTPConnection(name)
        connection.sock = (
            _secured(address, name, authority if verify else "")
            if secure
            else socket.create_connection((address, 80), 10)
        )
        with connection.sock:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode())

    return visit


def _secured(address: str, name: str, authority: str) -> ssl.SSLSocket:
    """A connection over TLS; waits for a certificate that is still being signed, as that of a new route is."""
    context = ssl.create_default_context(cadata=authority or None)
    if not authority:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    deadline = time.monotonic() + _SIGNING_SECONDS
    while True:
        try:
            return context.wrap_socket(socket.create_connection((address, 443), 10), server_hostname=name)
        except ssl.SSLCertVerificationError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@pytest.fixture(scope="session")
def containers_of() -> Callable[[Host], list[dict[str, Any]]]:
    """``containers_of(host)`` gives what the engine tells of each container of a stack, live or not."""

    def containers_of(host: Host) -> list[dict[str, Any]]:
        names = host.check_output("docker ps --all --quiet --filter label=ops.seisei.stack").split()
        found: list[dict[str, Any]] = json.loads(host.check_output(f"docker inspect {' '.join(names)}"))
        return found

    return containers_of
