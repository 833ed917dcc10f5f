"""Every environment is read, and every stack file resolves in it, by the code that operators run. Nothing connects."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from plugins.module_utils.model.document import Node
from plugins.module_utils.model.environment import Environment, parse_environment
from plugins.module_utils.model.errors import InvalidInput
from plugins.plugin_utils.estate import load_stack, stack_names

ROOT = Path(__file__).resolve().parents[2]
UNKNOWN_YET = {"DATABASE_CA", "ODOO18_DATABASE_HOST"}


@cache
def environment(inventory: str, host: str) -> Environment:
    ansible = Path(sys.executable).with_name("ansible")
    argv = [str(ansible), "-i", f"inventories/{inventory}", "-c", "local", "-m", "ansible.builtin.debug"]
    argv += ["-a", "var=ops_environment", host]
    settings = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal"}
    settings["ANSIBLE_LOAD_CALLBACK_PLUGINS"] = "0"
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | settings)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.partition("=>")[2])
    return parse_environment(Node(found["ops_environment"], inventory))


def variables(found: Environment) -> dict[str, str]:
    return {"REGISTRY": found.registry.server, "ENVIRONMENT": found.name, **found.variables}


REAL = [("staging", "staging-1"), ("production", "production-1")]


@pytest.mark.parametrize(("inventory", "host"), REAL)
@pytest.mark.parametrize("name", stack_names())
def test_a_stack_resolves_in_a_real_environment_once_its_two_unknowns_are_declared(
    inventory: str, host: str, name: str
) -> None:
    known = variables(environment(inventory, host)) | dict.fromkeys(UNKNOWN_YET, "database.invalid")
    stack = load_stack(name, known)
    assert stack.name == name
    assert set(stack.secrets) <= set(environment(inventory, host).secrets)


@pytest.mark.parametrize(("inventory", "host"), REAL)
def test_what_a_real_environment_does_not_declare_is_named_with_its_line(inventory: str, host: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_stack("odoo18", variables(environment(inventory, host)))
    named = {error.what.split("'")[1] for error in caught.value.errors}
    assert named == UNKNOWN_YET
    assert all("inventories/stacks/odoo18.yml:" in error.where for error in caught.value.errors)


def test_no_secret_and_no_bucket_is_shared_between_the_real_environments() -> None:
    staging, production = (environment(*place) for place in REAL)
    assert not set(staging.secrets.values()) & set(production.secrets.values())
    assert staging.object_storage.bucket != production.object_storage.bucket
    shared = {key for key, value in staging.variables.items() if production.variables.get(key) == value}
    assert shared == {"REGISTRY", "ACME_DIRECTORY", "ACME_EMAIL", "BIZNEXUS_POSTGRES", "OCR_POSTGRES"}
