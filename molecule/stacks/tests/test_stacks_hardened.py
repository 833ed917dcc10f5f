"""How the containers of the stacks really run: what the kernel and the engine say, not what was asked for."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

from plugins.module_utils.plan.hardening import loosened

SECRETS = Path(__file__).resolve().parents[3] / "build" / "lab" / "secrets.json"
SERVICES = {
    ("biznexus", "db"),
    ("biznexus", "web"),
    ("edge", "traefik"),
    ("langbot", "web"),
    ("ocr", "db"),
    ("ocr", "web"),
    ("odoo18", "redis"),
    ("odoo18", "web"),
    ("www", "web"),
}
# Where anything of a host may lie on a disk.
DISK = "/etc /root /home /tmp /var/lib/seisei /var/lib/docker/containers /var/lib/docker/volumes /var/log"

Ssh = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def containers(host: Host, containers_of: Callable[[Host], list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """What the engine tells of each container, by name."""
    return {one["Name"].lstrip("/"): one for one in containers_of(host)}


@pytest.fixture(scope="module")
def secrets() -> list[str]:
    """The values of every secret that a stack of this host was given, and of the registry's login."""
    known = json.loads(SECRETS.read_text(encoding="utf-8"))
    names = ("odoo18-database-password", "biznexus-database-password", "ocr-database-password", "ocr-gemini-api-key")
    return [known[f"staging/{name}"] for name in (*names, "registry-password")]


def test_every_service_runs_and_is_healthy(containers: dict[str, dict[str, Any]]) -> None:
    labels = [one["Config"]["Labels"] for one in containers.values()]
    assert {(one["ops.seisei.stack"], one["ops.seisei.service"]) for one in labels} == SERVICES
    assert {one["ops.seisei.environment"] for one in labels} == {"role"}
    assert {name: one["State"]["Health"]["Status"] for name, one in containers.items()} == dict.fromkeys(
        containers, "healthy"
    )


def test_no_process_has_root_or_a_way_to_it(host: Host, containers: dict[str, dict[str, Any]]) -> None:
    for name, one in containers.items():
        lines = host.check_output("cat /proc/%s/status", str(one["State"]["Pid"])).splitlines()
        told = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
        assert "0" not in told["Uid"] + told["Gid"] + told["Groups"], name
        assert {int(told[key][0], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}, name
        assert (told["NoNewPrivs"], told["Seccomp"]) == (["1"], ["2"]), name


def test_only_the_edge_is_loosened_and_only_by_its_ports(containers: dict[str, dict[str, Any]]) -> None:
    found = {name: {finding.item for finding in loosened(one)} for name, one in containers.items()}
    assert {name: items for name, items in found.items() if items} == {"edge-traefik": {"5.8", "5.14"}}


def test_no_container_can_take_all_of_the_host(containers: dict[str, dict[str, Any]]) -> None:
    for name, one in containers.items():
        given = one["HostConfig"]
        assert given["Memory"] <= 512 * 1024 * 1024, name
        assert given["MemorySwap"] == given["Memory"], name
        assert given["NanoCpus"] <= 2_000_000_000, name
        assert given["PidsLimit"] <= 512, name
        assert given["LogConfig"]["Config"].keys() >= {"max-size", "max-file"}, name


def test_an_image_is_named_by_its_digest(containers: dict[str, dict[str, Any]]) -> None:
    assert [name for name, one in containers.items() if "@sha256:" not in one["Config"]["Image"]] == []


def test_the_engine_is_told_no_secret(host: Host, containers: dict[str, dict[str, Any]], secrets: list[str]) -> None:
    told = json.dumps(containers) + host.check_output("docker network inspect $(docker network ls --quiet)")
    told += host.check_output("docker volume inspect $(docker volume ls --quiet)")
    for one in containers.values():
        told += host.check_output("cat /proc/%s/environ /proc/%s/cmdline", *[str(one["State"]["Pid"])] * 2)
    assert "OCR_GEMINI_API_KEY" in told, "nothing was read"
    assert [value for value in secrets if value in told] == []


def test_secrets_lie_in_memory_and_nowhere_else(ssh: Ssh, secrets: list[str]) -> None:
    def files_with_a_secret(places: str) -> list[str]:
        # Patterns come over standard input: in an argument they would be seen, and found in /proc.
        search = f"grep --recursive --files-with-matches --fixed-strings --file=- {places}"
        done = ssh("root", command=search, text="".join(f"{value}\n" for value in secrets))
        assert done.returncode in (0, 1), done.stderr
        return sorted(done.stdout.split())

    assert [re.sub(r"\.[0-9a-f]{16}$", "", path) for path in files_with_a_secret("/run/seisei/secrets")] == [
        "/run/seisei/secrets/biznexus/BIZNEXUS_DATABASE_PASSWORD",
        "/run/seisei/secrets/ocr/OCR_DATABASE_PASSWORD",
        "/run/seisei/secrets/ocr/OCR_GEMINI_API_KEY",
        "/run/seisei/secrets/odoo18/ODOO18_DATABASE_PASSWORD",
    ]
    assert files_with_a_secret(DISK) == []


def test_secrets_are_for_root_and_their_service(host: Host, containers: dict[str, dict[str, Any]]) -> None:
    assert host.check_output("findmnt --noheadings --output FSTYPE --target /run/seisei/secrets") == "tmpfs"
    assert oct(host.file("/run/seisei/secrets").mode) == "0o700"
    for name, one in containers.items():
        held = {mount["Destination"]: mount["RW"] for mount in one["Mounts"] if "/secrets/" in mount["Destination"]}
        assert not any(held.values()), name
        stack = one["Config"]["Labels"]["ops.seisei.stack"]
        assert all(
            mount["Source"].startswith(f"/run/seisei/secrets/{stack}/")
            for mount in one["Mounts"]
            if mount["Destination"] in held
        ), name
