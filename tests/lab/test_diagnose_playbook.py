"""The whole procedure in the lab: its answer reaches terminal and report, and the secret reaches neither."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.lab


def diagnose(root: Path, *words: str) -> tuple[int, str, list[dict[str, Any]]]:
    """Exit code, output, and the diagnoses of the run's report."""
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "playbooks/diagnose_database.yml", *words]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120, check=False)
    output = done.stdout + done.stderr
    path = next((line.split(": ", 1)[1] for line in output.splitlines() if line.startswith("report: ")), "")
    report = (root / path).read_text(encoding="utf-8") if path else "{}"
    return done.returncode, output + report, list(_diagnoses(json.loads(report)))


def _diagnoses(value: Any) -> list[dict[str, Any]]:
    """Wherever the callback puts reports of tasks."""
    if isinstance(value, dict):
        own = [value] if {"verdict", "layers"} <= set(value) else []
        return own + [one for entry in value.values() for one in _diagnoses(entry)]
    return [one for entry in value for one in _diagnoses(entry)] if isinstance(value, list) else []


def test_the_lab_is_healthy_and_no_secret_is_told(root: Path) -> None:
    code, told, diagnoses = diagnose(root, "--limit", "staging", "-e", "stack=odoo18")
    assert code == 0, told
    assert "odoo18 on staging: the database connection is healthy" in told
    assert len(diagnoses) == 1
    assert diagnoses[0]["verdict"] == "healthy"
    assert diagnoses[0]["databases"] == {"acme": "ok", "globex": "ok"}
    assert diagnoses[0]["diagnose_s"] < 2
    secrets = json.loads((root / "build" / "lab" / "secrets.json").read_text(encoding="utf-8"))
    texts = [value for value in _leaves(secrets) if len(value) >= 12]
    assert texts
    assert not [value for value in texts if value in told]


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [one for entry in value.values() for one in _leaves(entry)]
    return [value] if isinstance(value, str) else []


def test_a_stack_without_a_database_is_refused_in_one_sentence(root: Path) -> None:
    code, told, _ = diagnose(root, "--limit", "staging", "-e", "stack=www")
    assert code != 0
    assert "the stack declares no database" in told


def test_an_unknown_service_is_refused_with_the_known_ones(root: Path) -> None:
    code, told, _ = diagnose(root, "--limit", "staging", "-e", "stack=odoo18", "-e", "service=wbe")
    assert code != 0
    assert "choose one of: web, redis" in told
