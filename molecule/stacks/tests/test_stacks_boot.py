"""A host that boots at night: everything is back before anybody reaches for the controller."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

ADDRESS = "10.213.0.13"
LAB_SECRETS = Path(__file__).resolve().parents[3] / "build" / "lab" / "secrets.json"
BOOT_SECONDS = 120
MOUNTED = {
    ("ocr", "web", "OCR_DATABASE_PASSWORD"): "staging/ocr-database-password",
    ("ocr", "web", "OCR_GEMINI_API_KEY"): "staging/ocr-gemini-api-key",
    ("odoo18", "web", "ODOO18_DATABASE_PASSWORD"): "staging/odoo18-database-password",
    ("biznexus", "db", "BIZNEXUS_DATABASE_PASSWORD"): "staging/biznexus-database-password",
}

Ssh = Callable[..., subprocess.CompletedProcess[str]]


def health(ssh: Ssh) -> dict[str, bool]:
    """Whether each container of a stack is healthy; empty while the host does not answer."""
    ask = "docker ps --all --filter label=ops.seisei.stack --format '{{.Names}}/{{.Status}}'"
    told = ssh("root", command=ask).stdout.splitlines()
    return {name: "(healthy)" in status for name, status in (line.split("/") for line in told)}


@pytest.fixture(scope="module")
def booted(ssh: Ssh) -> float:
    """The host, after a boot that nobody attended; seconds until every container was healthy."""
    before = health(ssh)
    assert set(before.values()) == {True}, before
    began = time.monotonic()
    subprocess.run(["docker", "restart", "lab-role-1"], check=True, capture_output=True)
    while health(ssh) != before:
        assert time.monotonic() - began < BOOT_SECONDS, health(ssh)
        time.sleep(0.5)
    return time.monotonic() - began


def test_every_container_is_healthy_again(booted: float, ssh: Ssh) -> None:
    print(f"healthy_after_boot_s {booted:.1f}")
    assert ssh("root", command="systemctl --failed --plain --no-legend").stdout == ""


def test_each_service_reads_the_secret_it_had(
    booted: float, host: Host, containers_of: Callable[[Host], list[dict[str, Any]]]
) -> None:
    known = json.loads(LAB_SECRETS.read_text(encoding="utf-8"))
    labels = {one["Id"]: one["Config"]["Labels"] for one in containers_of(host)}
    ids = {(told["ops.seisei.stack"], told["ops.seisei.service"]): name for name, told in labels.items()}
    for (stack, service, name), secret in MOUNTED.items():
        read = host.check_output("docker exec %s cat /run/secrets/%s", ids[stack, service], name)
        assert read == known[secret], f"{stack}-{service}: {name}"


def test_visitors_are_served_and_there_is_nothing_to_converge(
    booted: float, visit: Callable[..., Any], run_module: Callable[..., dict[str, Any]]
) -> None:
    assert visit(ADDRESS, "biznexus.role-1.lab").status == 200
    told = run_module("seisei.ops.stacks", variables="molecule/role_environment.yml", check=True)
    assert told["changed"] is False, told["plan"]
