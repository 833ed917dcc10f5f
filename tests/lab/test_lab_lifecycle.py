"""A second lab beside the first: interrupted, picked up, damaged, put right, and removed without a trace."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

pytestmark = [pytest.mark.lab, pytest.mark.slow]

NAME = "lab-twin"
SUBNET = "10.219.0.0/24"
PARTS = {"dns", "registry", "aws", "acme", "postgres-staging", "postgres-production", "staging-1", "production-1"}


@dataclass(frozen=True)
class Command:
    """The lab's command for the second lab."""

    root: Path

    def line(self, *arguments: str) -> list[str]:
        return [sys.executable, "molecule/lab", *arguments, "--name", NAME, "--subnet", SUBNET]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.line(*arguments), cwd=self.root, capture_output=True, text=True, check=False)

    def json(self, *arguments: str) -> dict[str, Any]:
        result = self.run(*arguments, "--json")
        assert result.returncode == 0, result.stderr
        report: dict[str, Any] = json.loads(result.stdout)
        return report


@pytest.fixture
def twin(root: Path) -> Iterator[Command]:
    """The command, and nothing of the second lab left afterwards."""
    command = Command(root)
    yield command
    command.run("down", "--all")
    shutil.rmtree(root / "build" / NAME, ignore_errors=True)


def ids(client: docker.DockerClient) -> dict[str, tuple[str, str]]:
    found = client.containers.list(filters={"label": f"ops.seisei.lab.name={NAME}"})
    return {str(c.name).removeprefix(f"{NAME}-"): (str(c.id), c.attrs["State"]["StartedAt"]) for c in found}


def interrupt_at(command: Command, sign: str) -> None:
    """Start `up` and kill it without warning as soon as it prints ``sign``."""
    with subprocess.Popen(command.line("up"), cwd=command.root, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if sign in line:
                process.send_signal(signal.SIGKILL)
                break


def test_the_lab_comes_up_however_it_was_left_and_goes_without_a_trace(twin: Command) -> None:
    client = docker.from_env()
    interrupt_at(twin, f"{NAME}-registry: started")
    interrupt_at(twin, f"{NAME}-staging-1: started")
    interrupt_at(twin, "made ")
    twin.json("up")
    status = twin.json("status")
    assert {part["part"] for part in status["parts"]} == PARTS
    assert all(part["healthy"] for part in status["parts"])

    before, started = ids(client), time.monotonic()
    twin.json("up")
    assert ids(client) == before
    assert time.monotonic() - started < 10

    client.containers.get(f"{NAME}-aws").restart()  # forgets its buckets and secrets
    client.containers.get(f"{NAME}-dns").pause()
    client.containers.get(f"{NAME}-acme").stop()
    client.networks.get(f"seisei-{NAME}").disconnect(f"{NAME}-postgres-staging")
    client.containers.get(f"{NAME}-production-1").remove(force=True)
    ill = twin.run("status", "--json")
    assert ill.returncode == 1
    complaints = {part["part"]: part["complaint"] for part in json.loads(ill.stdout)["parts"] if not part["healthy"]}
    assert complaints["dns"] == "the container is paused"
    assert complaints["production-1"].startswith("it is not there")
    twin.json("up")
    assert all(part["healthy"] for part in twin.json("status")["parts"])
    assert ids(client)["registry"] == before["registry"]

    twin.json("up", "--role-host")
    assert ids(client).keys() == PARTS | {"role-1"}
    assert twin.json("down", "--role-host")["containers"] == [f"{NAME}-role-1"]
    assert ids(client).keys() == PARTS

    twin.json("down", "--all")
    label: dict[str, str | list[str] | bool] = {"label": f"ops.seisei.lab.name={NAME}"}
    assert client.containers.list(all=True, filters=label) == []
    assert client.volumes.list(filters=label) == []
    assert client.networks.list(filters=label) == []
    assert not (twin.root / "build" / NAME).exists()


def test_a_subnet_in_use_is_refused_and_nothing_is_made(twin: Command) -> None:
    command = [sys.executable, "molecule/lab", "up", "--name", NAME, "--subnet", "10.213.0.128/25"]
    result = subprocess.run(command, cwd=twin.root, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "the lab's subnet 10.213.0.128/25 is taken by Docker network seisei-lab (10.213.0.0/24)" in result.stderr
    assert "Traceback" not in result.stderr
    assert ids(docker.from_env()) == {}


def test_an_engine_that_does_not_answer_is_told_in_a_sentence(root: Path) -> None:
    environment = {"DOCKER_HOST": "unix:///nonexistent/docker.sock", "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "molecule/lab", "up"]
    result = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "no Docker Engine answers" in result.stderr
    assert "Next: run bin/setup" in result.stderr
    assert "Traceback" not in result.stderr
