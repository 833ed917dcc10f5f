"""The code that a host keeps of us: runs by itself, is written once, and is not taken away from what runs by it."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from plugins.module_utils.gateway.library import keep, running_archive
from plugins.module_utils.model.errors import OpsError

PACKAGE = "ansible_collections/seisei/ops/plugins/module_utils/"


def payload(folder: Path, says: str) -> Path:
    """An archive such as a module arrives in."""
    path = folder / f"{says}.zip"
    parts = PACKAGE.strip("/").split("/")
    with zipfile.ZipFile(path, "w") as made:
        for depth in range(1, len(parts) + 1):
            made.writestr("/".join([*parts[:depth], "__init__.py"]), "")
        made.writestr(
            f"{PACKAGE}unit.py", f"import sys\ndef main():\n    print({says!r}, *sys.argv[1:])\n    return 3\n"
        )
        made.writestr("sitecustomize.py", "raise RuntimeError('the directory it names is gone')")
        made.writestr("ansible/module_utils/basic.py", "")
    return path


def test_what_is_kept_runs_as_a_program(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    kept = keep(payload(tmp_path, "one"), library)
    done = subprocess.run(
        [sys.executable, "-s", "-E", str(kept), "tend", "shop"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, "one tend shop\n"), done.stderr
    with zipfile.ZipFile(kept) as found:
        assert not [name for name in found.namelist() if name.startswith(("ansible/", "sitecustomize"))]


def test_the_same_code_is_written_once_and_the_newest_is_current(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    first = keep(payload(tmp_path, "one"), library)
    written = first.stat().st_ino
    second = keep(payload(tmp_path, "two"), library)
    assert second != first
    assert (library / "current").resolve() == second
    assert keep(payload(tmp_path, "one"), library) == first
    assert first.stat().st_ino == written
    assert (library / "current").resolve() == first
    assert keep(first, library) == first, "what runs by it keeps it as it is"


def test_what_is_in_use_stays_and_the_oldest_go(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    in_use = keep(payload(tmp_path, "first"), library)
    os.utime(in_use, (1, 1))
    kept = []
    for number in range(8):
        path = keep(payload(tmp_path, f"n{number}"), library, in_use=[in_use.name])
        os.utime(path, (100 + number, 100 + number))
        kept.append(path)
    assert in_use.exists()
    assert kept[-1].exists()
    assert not kept[0].exists()
    assert not list(library.glob(".*"))


def test_an_archive_without_the_program_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(f"{PACKAGE}units.py", "")
    with pytest.raises(OpsError, match="has not the program in it"):
        keep(path, tmp_path / "lib")
    assert not (tmp_path / "lib").exists()


def test_plain_files_are_nothing_to_keep() -> None:
    with pytest.raises(OpsError, match="does not run from an archive"):
        running_archive()


def test_a_disk_that_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "lib").write_text("in the way")
    with pytest.raises(OpsError, match="cannot be written"):
        keep(payload(tmp_path, "one"), tmp_path / "lib")
