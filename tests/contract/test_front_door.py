"""The front door does what the README says: its targets, its safe default, its scripts."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

TARGETS = {"demo", "test", "check", "unit", "lab", "lab-down", "bench", "crash", "clean"}


def _helped(root: Path) -> dict[str, str]:
    said = subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout
    return dict(re.findall(r"^\s+make ([a-z-]+)\s+(\S.*)$", said, re.M))


def test_help_names_every_target_with_a_line(root: Path) -> None:
    assert _helped(root).keys() == TARGETS | {"help"}


def test_the_readme_names_every_target(root: Path) -> None:
    text = (root / "README.md").read_text()
    assert {target for target in TARGETS if f"make {target}" not in text} == set()


def test_links_of_the_readme_lead_somewhere(root: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", (root / "README.md").read_text())
    assert targets
    assert [target for target in targets if not (root / target).exists()] == []


def test_every_target_calls_something_that_is_there(root: Path) -> None:
    called = re.findall(r"^\t@(?:\$\(PYTHON\) )?((?:bin|molecule)/\S+)", (root / "Makefile").read_text(), re.M)
    assert len(called) >= 6
    assert [path for path in called if not (root / path).exists()] == []


def test_a_forgotten_inventory_means_the_lab(root: Path) -> None:
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(root / "ansible.cfg")
    assert settings["defaults"]["inventory"] == "inventories/lab"
    assert settings["defaults"]["stdout_callback"] == "seisei.ops.progress"
    assert settings.getboolean("defaults", "host_key_checking")


@pytest.mark.parametrize("script", ["bin/setup", ".ci/run"])
def test_shell_scripts_parse_and_stop_at_errors(root: Path, script: str) -> None:
    subprocess.run(["bash", "-n", script], cwd=root, check=True)
    assert "set -euo pipefail" in (root / script).read_text()
    assert os.access(root / script, os.X_OK)


def test_ci_runs_the_front_door(root: Path) -> None:
    assert "make test" in (root / ".ci" / "run").read_text()
    jobs = yaml.safe_load((root / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    assert ".ci/run" in [step.get("run") for step in jobs["test"]["steps"]]


def test_the_collection_is_named_as_the_link(root: Path) -> None:
    galaxy = yaml.safe_load((root / "galaxy.yml").read_text())
    link = root / ".collections" / "ansible_collections" / galaxy["namespace"] / galaxy["name"]
    assert link.resolve() == root.resolve()
