"""The environments of every inventory pass the argument spec that the role declares for them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SPEC = yaml.safe_load((ROOT / "roles/stacks/meta/argument_specs.yml").read_text(encoding="utf-8"))
BOOK = """
- name: Try
  hosts: all
  gather_facts: false
  tasks:
    - name: Validate as a role does at its start
      ansible.builtin.validate_argument_spec:
        argument_spec: "{{ spec }}"
"""


def validated(folder: Path, inventory: str, more: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run the validation on the controller alone; the lab's own files are stood in for."""
    (folder / "ca").mkdir()
    (folder / "ca" / "ca.pem").write_text("a certificate", encoding="utf-8")
    (folder / "signers").mkdir()
    (folder / "signers" / "allowed_signers").write_text("# nobody", encoding="utf-8")
    spec = {"ops_environment": SPEC["argument_specs"]["main"]["options"]["ops_environment"]}
    (folder / "book.yml").write_text(BOOK, encoding="utf-8")
    given = json.dumps({"spec": spec, "lab_root": str(folder), **more})
    tool = Path(sys.executable).with_name("ansible-playbook")
    return subprocess.run(
        [tool, "-i", ROOT / "inventories" / inventory, folder / "book.yml", "-e", given],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("inventory", ["lab", "staging", "production"])
def test_an_environment_passes(tmp_path: Path, inventory: str) -> None:
    done = validated(tmp_path, inventory, {})
    assert done.returncode == 0, done.stdout


def test_an_environment_that_says_too_much_does_not(tmp_path: Path) -> None:
    done = validated(tmp_path, "staging", {"ops_environment": {"name": "staging", "registry": {"servr": "x"}}})
    assert done.returncode != 0
    assert "servr" in done.stdout
