"""How tests of scenarios reach the lab's throw-away host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import testinfra
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[1]
SSH = ROOT / "build" / "lab" / "ssh"
ADDRESS = "10.213.0.13"
_STRICT = ["-F", "none", "-o", f"UserKnownHostsFile={SSH / 'known_hosts'}", "-o", "GlobalKnownHostsFile=/dev/null"]
_STRICT += ["-o", "StrictHostKeyChecking=yes", "-o", "IdentitiesOnly=yes"]


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    """The throw-away host, as root, over one SSH connection."""
    socket = tmp_path_factory.mktemp("ssh") / "socket"
    shared = f"-o ControlMaster=auto -o ControlPath={socket} -o ControlPersist=30"
    extra = f"{' '.join(_STRICT)} {shared}"
    return testinfra.get_host(f"ssh://root@{ADDRESS}", ssh_identity_file=str(SSH / "id_ed25519"), ssh_extra_args=extra)


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
    """Run one module on the host through Ansible: ``run_module(name, check=False, **arguments)`` gives its result."""
    settings = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    }

    def run(name: str, *, check: bool = False, **arguments: Any) -> dict[str, Any]:
        ansible = str(Path(sys.executable).with_name("ansible"))
        argv = [ansible, "role-1", "-i", "molecule/inventory", "-m", name, "-a", json.dumps(arguments), "--diff"]
        argv += ["--check"] if check else []
        done = subprocess.run(
            argv, capture_output=True, text=True, cwd=ROOT, env=os.environ | settings, timeout=60, check=False
        )
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout)["plays"][0]["tasks"][0]["hosts"]["role-1"]
        return result

    return run
