"""Payloads kept between runs: found again while nothing that they are made of changes, and never else."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from ansible.executor import module_common

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


def packed(by: str) -> module_common._CachedModule:
    """A payload as Ansible keeps it within a run."""
    data = base64.b64encode(archive({"packed.py": by.encode()}))
    return module_common._CachedModule(
        zip_data=data, metadata=module_common.ModuleMetadataV1(serialization_profile="legacy"), source_mapping={}
    )


def a_run(root: Path, tmp: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Who packed what a run sends: an earlier one, or this one itself. Each run has a place of its own for payloads."""
    tmp.mkdir()
    monkeypatch.setattr("ansible.constants.DEFAULT_LOCAL_TMP", str(tmp), raising=False)
    place = tmp / "ansiballz_cache" / NAME
    with payloads.kept("stacks", root):
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            place.with_name(f"{NAME}.lock").touch()
            packed(tmp.name).dump(str(place))
    return sources(base64.b64decode(module_common._CachedModule.load(str(place)).zip_data))["packed.py"].decode()


def sources(archive: bytes) -> dict[str, bytes]:
    """What is in an archive, by name."""
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def archive(files: dict[str, bytes]) -> bytes:
    """The reverse."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as made:
        for name, content in files.items():
            made.writestr(name, content)
    return whole.getvalue()


def imported(folder: Path, files: dict[str, bytes]) -> str:
    """What a Python that imports ``packed`` from such an archive, as modules on hosts do, takes it for."""
    (folder / "sent.zip").write_bytes(archive(files))
    words = "import sys; sys.path.insert(0, sys.argv[1]); import packed; print(packed.by)"
    command = [sys.executable, "-c", words, str(folder / "sent.zip")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_host_with_the_same_python_compiles_nothing(tmp_path: Path) -> None:
    files = sources(payloads.with_bytecode(archive({"packed.py": b"by = 'bytecode'", "data.json": b"{}"})))
    assert sorted(files) == ["data.json", "packed.py", "packed.pyc"]
    assert imported(tmp_path, files | {"packed.py": b"by = 'source'"}) == "bytecode"


def test_another_python_compiles_the_source(tmp_path: Path) -> None:
    files = sources(payloads.with_bytecode(archive({"packed.py": b"by = 'source'"})))
    assert imported(tmp_path, files | {"packed.pyc": b"\x00\x00\r\n" + files["packed.pyc"][4:]}) == "source"


def test_bytecode_is_added_once() -> None:
    once = payloads.with_bytecode(archive({"packed.py": b"by = 'source'"}))
    assert sources(payloads.with_bytecode(once)) == sources(once)


def test_what_is_kept_has_bytecode(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_run(root, tmp_path / "first", monkeypatch)
    [place] = (root / "build" / "payloads" / "stacks").glob(f"*/{NAME}")
    kept = module_common._CachedModule.load(str(place))
    assert sorted(sources(base64.b64decode(kept.zip_data))) == ["packed.py", "packed.pyc"]


@pytest.mark.parametrize("left", [0, 40])
def test_a_payload_cut_off_is_packed_anew(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    a_run(root, tmp_path / "first", monkeypatch)
    [place] = (root / "build" / "payloads" / "stacks").glob(f"*/{NAME}")
    place.write_bytes(place.read_bytes()[:left])
    assert a_run(root, tmp_path / "second", monkeypatch) == "second"


def test_the_second_run_packs_nothing(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert a_run(root, tmp_path / "first", monkeypatch) == "first"
    assert a_run(root, tmp_path / "second", monkeypatch) == "first"


@pytest.mark.parametrize("path", ["modules/stacks.py", "module_utils/apply.py", "module_utils/model/stack.py"])
def test_a_change_packs_anew(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    a_run(root, tmp_path / "first", monkeypatch)
    (root / "plugins" / path).write_text("one = 2\n")
    assert a_run(root, tmp_path / "second", monkeypatch) == "second"


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
    assert a_run(root, tmp_path / "first", monkeypatch) == "first"


def test_a_payload_is_its_owners_alone(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_run(root, tmp_path / "first", monkeypatch)
    [folder] = (root / "build" / "payloads" / "stacks").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
