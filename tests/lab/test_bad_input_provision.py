"""What provisioning says when it cannot work: one line with what, where and what to do, exit code, nothing changed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.provision_parts import HOST, SSH, STRICT, make_ready, on_host, provision

pytestmark = pytest.mark.lab

# An address of the lab's network that nobody has.
NOBODY = "10.213.0.99"
WATCHED = "/etc/ssh /etc/nftables.d /etc/docker /etc/localtime /etc/systemd /etc/apt"

Provision = Callable[..., subprocess.CompletedProcess[str]]


def connection(address: str) -> dict[str, Any]:
    return {
        "ansible_host": address,
        "ansible_user": "root",
        "ansible_python_interpreter": "/usr/bin/python3",
        "ansible_ssh_private_key_file": str(SSH / "id_ed25519"),
        "ansible_ssh_common_args": STRICT,
        "host_ssh_root_login": "prohibit-password",
    }


@pytest.fixture
def mistaken(tmp_path: Path) -> Provision:
    """Provision one host called ``mistaken`` whose inventory says ``values``; JSON is YAML."""

    def run(address: str, *options: str, **values: Any) -> subprocess.CompletedProcess[str]:
        inventory = tmp_path / "hosts.yml"
        inventory.write_text(json.dumps({"stack_hosts": {"hosts": {"mistaken": connection(address) | values}}}))
        return provision("-i", str(inventory), *options, fresh=True)

    return run


@pytest.fixture(scope="module", autouse=True)
def ready() -> None:
    make_ready()


def fingerprint() -> str:
    """Of all files that provisioning could have touched on the host, and of the rules in force."""
    seen = f"find {WATCHED} -type f -exec sha256sum {{}} +; stat -c '%n %a %Y' /etc/localtime"
    return on_host(f"{seen}; nft --stateless list table inet seisei")


def test_a_host_that_is_not_there(mistaken: Provision) -> None:
    done = mistaken(NOBODY)
    assert done.returncode == 4
    told = next(line for line in done.stdout.splitlines() if "cannot be reached" in line)
    assert f"mistaken ({NOBODY})" in told
    assert "Next: check that the host is up" in told


def test_a_host_that_does_not_know_the_key(mistaken: Provision, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    done = mistaken(HOST, ansible_ssh_private_key_file=str(key))
    assert done.returncode == 4
    assert "Permission denied (publickey)" in done.stdout


def test_a_host_that_is_not_the_one_it_was(mistaken: Provision, tmp_path: Path) -> None:
    known = tmp_path / "known_hosts"
    known.write_text((SSH / "known_hosts").read_text().replace(HOST, NOBODY).replace("10.213.0.11", HOST))
    done = mistaken(HOST, ansible_ssh_common_args=STRICT.replace(str(SSH / "known_hosts"), str(known)))
    assert done.returncode == 4
    assert "Host key verification failed" in done.stdout


@pytest.mark.parametrize(
    ("values", "where", "what", "do"),
    [
        (
            {"host_time_zone": "Asia/Tokio"},
            "/etc/localtime",
            "it should lead to /usr/share/zoneinfo/Asia/Tokio, which this host does not have",
            "correct the value of the inventory",
        ),
        (
            {"host_firewall_allow": [{"protocol": "tcp", "ports": [80], "sources": ["10.0.0.0/99"]}]},
            "/etc/nftables.d/seisei.nft",
            "Prefix length 99 is invalid",
            "correct the value of the inventory",
        ),
        ({"host_ssh_root_login": "yes"}, "host_ssh_root_login", "value of host_ssh_root_login must be one of", "no"),
        ({"host_operators": [{"state": "present"}]}, "host_operators", "missing required arguments: name", ""),
    ],
)
def test_a_value_that_cannot_be(mistaken: Provision, values: dict[str, Any], where: str, what: str, do: str) -> None:
    before = fingerprint()
    done = mistaken(HOST, **values)
    assert done.returncode == 2
    told = next(line for line in done.stdout.splitlines() if what in line)
    assert where in told
    assert do in told
    assert fingerprint() == before


def test_an_input_that_this_runbook_does_not_take(mistaken: Provision) -> None:
    done = mistaken(HOST, "-e", "stack=odoo18")
    assert done.returncode == 2
    assert "-e stack: 'stack' is not an input of provision. Next: leave it out" in done.stdout
