"""Payloads kept between runs: found again while nothing that they are made of changes, and never else."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.plugin_utils import payloads

NAME = "ansible_collections.seisei.ops.plugins.modules.stacks-ZIP_DEFLATED-none"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout in small."""
    root = tmp_path / "checkout"
    for path in ("modules/stacks.py", "module_utils/model/stack.py", "module_utils/apply.py"):
        file = root / "plugins" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("one = 1\n")
    return root


def a_run(root: Path, tmp: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What a run sends: the payload it finds, else one that it packs; each run has a place of its own for them."""
    tmp.mkdir()
    monkeypatch.setattr("ansible.constants.DEFAULT_LOCAL_TMP", str(tmp), raising=False)
    place = tmp / "ansiballz_cache" / NAME
    with payloads.kept("stacks", root):
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            place.with_name(f"{NAME}.lock").touch()
            place.write_text(f"packed by {tmp.name}")
    return place.read_text()


def test_the_second_run_packs_nothing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert a_run(root, tmp_path / "first", monkeypatch) == "packed by first"
    assert a_run(root, tmp_path / "second", monkeypatch) == "packed by first"


@pytest.mark.parametrize("path", ["modules/stacks.py", "module_utils/apply.py", "module_utils/model/stack.py"])
def test_a_change_packs_anew(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    a_run(root, tmp_path / "first", monkeypatch)
    (root / "plugins" / path).write_text("one = 2\n")
    assert a_run(root, tmp_path / "second", monkeypatch) == "packed by second"


def test_a_new_file_and_another_ansible_pack_anew(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = payloads.fingerprint("stacks", root)
    (root / "plugins" / "module_utils" / "new.py").write_text("")
    second = payloads.fingerprint("stacks", root)
    monkeypatch.setattr(payloads, "__version__", "another")
    assert len({first, second, payloads.fingerprint("stacks", root)}) == 3


def test_only_the_newest_are_kept(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(7):
        (root / "plugins" / "module_utils" / "apply.py").write_text(f"one = {number}\n")
        a_run(root, tmp_path / f"run{number}", monkeypatch)
    assert len(list((root / "build" / "payloads" / "stacks").iterdir())) == 4


def test_a_disk_that_refuses_costs_no_run(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / "build").write_text("a file where a folder should be")
    assert a_run(root, tmp_path / "first", monkeypatch) == "packed by first"


def test_a_payload_is_its_owners_alone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_run(root, tmp_path / "first", monkeypatch)
    [folder] = (root / "build" / "payloads" / "stacks").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
