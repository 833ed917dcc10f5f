"""The real inventories are read, never connected to: both are made alike, and neither names the other environment."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = {"staging": "13.231.24.250", "production": "54.65.127.141"}
OTHER = {"staging": "production", "production": "staging"}
REAL = sorted(ADDRESSES)


@cache
def read(inventory: str) -> dict[str, Any]:
    """What Ansible knows of one of ours, or of a folder elsewhere."""
    folder = str(ROOT / "inventories" / inventory)  # an absolute path stays itself
    argv = [str(Path(sys.executable).with_name("ansible-inventory")), "-i", folder, "--list"]
    environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def hosts(inventory: str, group: str) -> list[str]:
    entry = read(inventory).get(group, {})
    return sorted(
        {*entry.get("hosts", []), *(host for child in entry.get("children", []) for host in hosts(inventory, child))}
    )


def variables(inventory: str, host: str) -> dict[str, Any]:
    found: dict[str, Any] = read(inventory)["_meta"]["hostvars"][host]
    return found


def names(value: Any, path: str = "") -> set[str]:
    """The dotted names of all settings; the entries of a mapping by name count, their values do not."""
    if not isinstance(value, dict):
        return {path}
    return {name for key, child in value.items() for name in names(child, f"{path}.{key}" if path else key)}


@pytest.mark.parametrize("environment", REAL)
def test_an_inventory_holds_its_own_host_and_no_other(environment: str) -> None:
    assert hosts(environment, "stack_hosts") == hosts(environment, environment) == [f"{environment}-1"]
    assert variables(environment, f"{environment}-1")["ansible_host"] == ADDRESSES[environment]
    assert OTHER[environment] not in read(environment)


@pytest.mark.parametrize("environment", REAL)
def test_an_inventory_never_names_the_other_environment(environment: str) -> None:
    other = OTHER[environment]
    for file in (ROOT / "inventories" / environment).rglob("*"):
        if file.is_file():
            text = file.read_text(encoding="utf-8").lower()
            assert ADDRESSES[other] not in text, file
            # Save for whose word is taken on a release: nothing is called there.
            if file.name != "allowed_signers":
                assert other not in text.replace("verified_in: staging", "").replace("promotes_to: production", ""), (
                    file
                )


def test_both_real_environments_have_the_same_settings() -> None:
    staging, production = (names(variables(name, f"{name}-1")) for name in ("staging", "production"))
    assert staging == production


def test_the_environments_of_the_lab_are_twins_too() -> None:
    assert hosts("lab", "stack_hosts") == ["production-1", "staging-1"]
    staging, production = (names(variables("lab", f"{name}-1")) for name in ("staging", "production"))
    assert staging == production


@pytest.mark.parametrize("environment", REAL)
def test_the_lab_has_the_groups_of_the_real_environments(environment: str) -> None:
    assert environment in read("lab")["stack_hosts"]["children"]
    assert hosts("lab", environment) == hosts(environment, environment)


def test_the_lab_names_only_addresses_of_its_own_network() -> None:
    for host in hosts("lab", "stack_hosts"):
        assert variables("lab", host)["ansible_host"].startswith("10.213.0.")


@pytest.mark.parametrize("environment", REAL)
def test_real_hosts_are_reached_as_a_person_with_checked_host_keys(environment: str) -> None:
    told = variables(environment, f"{environment}-1")
    assert told["ansible_user"] != "root"
    assert told["ansible_become"] is True
    assert not any("StrictHostKeyChecking" in str(value) for value in told.values())
    assert "host_ssh_root_login" not in told, "the role's default holds: root does not log in"


SIGNER = (
    'tanaka namespaces="approved@seisei-ops" ssh-ed25519'
    " AAAAC3NzaC1lZDI1NTE5AAAAIJ5vTn3WbYqEh1b0e5Yy4Xo6m1fB3cO0R2m6Qw2nVdLx\n"
)


@pytest.mark.parametrize("environment", REAL)
def test_an_inventory_is_read_with_keys_in_its_files_of_signers_too(environment: str, tmp_path: Path) -> None:
    copy = tmp_path / environment
    shutil.copytree(ROOT / "inventories" / environment, copy)
    for name in ("allowed_signers", "revoked_keys"):
        with (copy / name).open("a", encoding="utf-8") as file:
            file.write(SIGNER)
    assert read(str(copy))[environment]["hosts"] == [f"{environment}-1"]


def test_a_file_of_hosts_that_is_none_is_still_an_error(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "inventories" / "staging", tmp_path / "staging")
    (tmp_path / "staging" / "more_hosts").write_text(SIGNER, encoding="utf-8")
    with pytest.raises(AssertionError, match="more_hosts"):
        read(str(tmp_path / "staging"))
