"""What the role database achieves: the right answer on a real host, whatever state the application is in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

ROOT = Path(__file__).resolve().parents[3]
REGISTRY = "10.213.0.3:5000"
IMAGE = f"{REGISTRY}/redis:7"
LOGIN = "/run/seisei-probe-login"  # on tmpfs
LABELS = {"environment": "staging", "stack": "odoo18", "service": "web", "number": "1", "release": "sha-19b9b98"}

Start = Callable[..., str]


@pytest.fixture(scope="module", autouse=True)
def image(host: Host, ssh: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Something to run from the lab's registry."""
    secrets = json.loads((ROOT / "build" / "lab" / "secrets.json").read_text(encoding="utf-8"))
    login = f"DOCKER_CONFIG={LOGIN} docker login --username ops --password-stdin {REGISTRY}"
    done = ssh("root", command=login, text=secrets["staging/registry-password"])
    assert done.returncode == 0, done.stderr
    host.check_output(f"DOCKER_CONFIG={LOGIN} docker pull --quiet {IMAGE} && rm -r {LOGIN}")


@pytest.fixture
def application(host: Host) -> Iterator[Start]:
    """``application(**environment)`` starts a container that stands in for Odoo; it is removed at the end."""
    names: list[str] = []

    def start(**environment: str) -> str:
        words = [f"--label ops.seisei.{key}={value}" for key, value in LABELS.items()]
        words += [f"--env {key}={value}" for key, value in environment.items()]
        names.append("probe-application")
        host.check_output(f"docker run --detach --name {names[-1]} {' '.join(words)} --entrypoint sleep {IMAGE} 600")
        return names[-1]

    yield start
    for name in names:
        host.check_output("docker rm --force %s", name)


def diagnose() -> dict[str, Any]:
    """The report of one diagnosis, made as a host of staging."""
    settings = {
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"),
        "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1",
        "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
    }
    words = ["role-1", "-i", "molecule/inventory", "-e", "@inventories/lab/group_vars/staging/environment.yml"]
    words += ["-m", "seisei.ops.database_diagnosis", "-a", "stack=odoo18"]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible")), *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | settings,
        timeout=60,
        check=False,
    )
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    result = json.loads(done.stdout)["plays"][0]["tasks"][0]["hosts"]["role-1"]
    assert "report" in result, result
    return dict(result["report"])


def test_without_an_application_the_host_looks_and_says_so() -> None:
    found = diagnose()
    assert found["verdict"] == "healthy"
    assert found["seen_from"] == "the host itself"
    assert any("there is no container of service web" in warning for warning in found["warnings"])
    assert found["databases"] == {"acme": "ok", "globex": "ok"}


def test_the_application_is_looked_at_as_it_was_told(application: Start) -> None:
    name = application(DB_HOST="postgres.production.lab", DB_USER="odoo")
    found = diagnose()
    assert (found["verdict"], found["code"]) == ("configuration", "not_set")
    assert found["seen_from"] == f"container {name}"
    evidence = found["layers"][0]["evidence"]
    assert any("it is the database of production" in line for line in evidence), evidence


def test_an_application_that_stopped_is_looked_at_as_it_was_left(host: Host, application: Start) -> None:
    host.check_output("docker stop --time 0 %s", application(DB_HOST="postgres.staging.lab", DB_USER="odoo"))
    found = diagnose()
    assert found["seen_from"] == "the host itself"
    assert any("does not run (state exited" in warning for warning in found["warnings"])
