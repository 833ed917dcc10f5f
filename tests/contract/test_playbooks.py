"""Every playbook is understood by ansible-playbook from a fresh clone, with the settings that are checked in."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))


def _understood(*playbooks: Path) -> subprocess.CompletedProcess[str]:
    command = [str(ANSIBLE_PLAYBOOK), "--syntax-check", *map(str, playbooks)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@cache
def _all_are_understood() -> bool:
    """One call for all, because most of a call is Ansible's own start."""
    done = _understood(*PLAYBOOKS)
    return done.returncode == 0 and "WARNING" not in done.stderr


def test_there_are_playbooks() -> None:
    assert PLAYBOOKS


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_a_playbook_is_understood(playbook: Path) -> None:
    if _all_are_understood():
        return
    done = _understood(playbook)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


def test_a_playbook_that_is_not_is_seen(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(
        "- name: Break\n  hosts: all\n  tasks:\n    - name: Call what is not there\n      seisei.ops.nobody:\n"
    )
    assert _understood(broken).returncode != 0
