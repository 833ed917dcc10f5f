"""What a host of the lab keeps paused is thawed before the host goes, and nobody else's is."""

from __future__ import annotations

from pathlib import Path

import pytest
from labkit.freezer import thaw

HOST, PAUSED, ANOTHERS, GONE = 20, 40, 50, 60


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A host (20) with a shim (30) and a paused process of its (40); a paused one of somebody else (50)."""
    for pid, parent in ((HOST, 1), (30, HOST), (PAUSED, 30), (ANOTHERS, 1)):
        (tmp_path / "proc" / str(pid)).mkdir(parents=True)
        (tmp_path / "proc" / str(pid) / "stat").write_text(f"{pid} (a name) with S 7) S {parent} 1 1\n")
    for group, members, state in (
        ("paused", [GONE, PAUSED], "FROZEN"), ("freezing", [PAUSED], "FREEZING"),
        ("anothers", [ANOTHERS], "FROZEN"), ("runs", [30], "THAWED"),
    ):  # fmt: skip
        folder = tmp_path / "freezer" / group
        folder.mkdir(parents=True)
        (folder / "freezer.state").write_text(f"{state}\n")
        (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in members))
    return tmp_path


def test_what_descends_from_the_host_is_thawed(machine: Path) -> None:
    thaw(HOST, freezer=machine / "freezer", proc=machine / "proc")
    found = {path.parent.name: path.read_text().strip() for path in (machine / "freezer").glob("*/freezer.state")}
    assert found == {"paused": "THAWED", "freezing": "THAWED", "anothers": "FROZEN", "runs": "THAWED"}


def test_without_such_groups_there_is_nothing_to_do(tmp_path: Path) -> None:
    thaw(HOST, freezer=tmp_path / "none", proc=tmp_path)
