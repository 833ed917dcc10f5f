"""Secrets of a host on a real disk. How systemd seals them is seen on a host, in the scenario of the role host."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plugins.module_utils.gateway import host_secrets
from plugins.module_utils.gateway.host_secrets import HostSecrets, seal
from plugins.module_utils.model.errors import OpsError

ROOT = Path(__file__).resolve().parents[3]


def turned_round(name: str, value: str) -> str:
    return f"{name}:{value[::-1]}"


def on(folder: Path) -> HostSecrets:
    return HostSecrets(folder / "run", folder / "sealed", folder / "key", turned_round)


@pytest.fixture
def here(tmp_path: Path) -> HostSecrets:
    return on(tmp_path)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


# -- marks -------------------------------------------------------------------------------------------------------------


def test_a_mark_names_a_value_on_this_host_alone(here: HostSecrets, tmp_path: Path) -> None:
    marks = here.marks({"A": "1", "B": "1", "C": "2", "D": ""})
    assert marks["A"] == marks["B"] == here.mark("1")
    assert len(set(marks.values())) == 3
    assert all(len(mark) == 16 and int(mark, 16) >= 0 for mark in marks.values())
    assert here.mark("1") != on(tmp_path / "other").mark("1"), "a mark must need this host's key"


def test_a_rehearsal_writes_nothing(here: HostSecrets, tmp_path: Path) -> None:
    here.marks({"A": "1"})
    assert here.present() == {}
    assert list(tmp_path.iterdir()) == []


def test_the_first_secret_keeps_the_key_that_the_plan_was_made_with(here: HostSecrets, tmp_path: Path) -> None:
    planned = here.mark("1")
    here.place("shop", "A", "1")
    assert here.present() == {"shop": {f"A.{planned}"}}
    assert on(tmp_path).mark("1") == planned
    assert mode(here.key) == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key", "run", "sealed"]


def test_a_key_that_another_run_made_meanwhile_is_not_replaced(here: HostSecrets, tmp_path: Path) -> None:
    here.mark("1")
    on(tmp_path).place("other", "B", "2")
    with pytest.raises(OpsError, match=r"another run gave this host its key meanwhile\. Next: run this again"):
        here.place("shop", "A", "1")
    assert on(tmp_path).present().keys() == {"other"}


def test_runs_at_the_same_time_agree_on_one_key(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from tests.unit.core.test_host_secrets import on\n"
    code += "here = on(Path(sys.argv[1])); here.place(sys.argv[2], 'A', '1'); print(here.mark('1'))"
    argv = [sys.executable, "-c", code, str(tmp_path)]
    runs = [
        subprocess.Popen([*argv, f"s{n}"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for n in range(6)
    ]
    told = [run.communicate(timeout=60) for run in runs]
    marks = {out for out, _ in told if out}
    assert len(marks) == 1, told
    assert all(out or "run this again" in complaint for out, complaint in told)
    (mark,) = marks
    names = {f"s{n}": {f"A.{mark.strip()}"} for n, (out, _) in enumerate(told) if out}
    assert on(tmp_path).present() == names


def test_steps_side_by_side_keep_one_key(here: HostSecrets) -> None:
    values = {f"S{n}": str(n) for n in range(30)}
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda name: here.place("shop", name, values[name]), values))
    assert here.present() == {"shop": {f"{name}.{mark}" for name, mark in here.marks(values).items()}}


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["plain", "", "ä\r\nb\n", "x" * 100_000], ids=["plain", "empty", "lines", "long"])
def test_a_value_lies_as_it_is_behind_a_closed_door(here: HostSecrets, value: str) -> None:
    here.place("shop", "A", value)
    name = f"A.{here.mark(value)}"
    placed, sealed = here.run / "shop" / name, here.sealed / "shop" / name
    assert placed.read_bytes() == value.encode()
    assert sealed.read_bytes().decode() == turned_round(f"shop.{name}", value)
    assert [mode(path) for path in (here.run, here.sealed, placed, sealed)] == [0o700, 0o700, 0o444, 0o600]
    assert here.present() == {"shop": {name}}


@pytest.mark.parametrize("harm", ["edited", "emptied", "renamed", "unsealed", "removed"])
def test_what_is_not_sound_is_not_present_and_is_mended(here: HostSecrets, harm: str) -> None:
    here.place("shop", "A", "1")
    here.place("shop", "B", "2")
    path = here.run / "shop" / f"A.{here.mark('1')}"
    if harm in ("edited", "emptied"):
        path.chmod(0o600)
        path.write_text("2" if harm == "edited" else "")
    elif harm == "renamed":
        path.rename(path.with_suffix(f".{here.mark('3')}"))
    elif harm == "unsealed":
        (here.sealed / "shop" / path.name).unlink()
    else:
        path.unlink()
    other = f"B.{here.mark('2')}"
    assert here.present() == {"shop": {other}}
    here.place("shop", "A", "1")
    assert here.present() == {"shop": {path.name, other}}
    assert mode(path) == 0o444


def test_a_container_that_mounts_an_edited_value_sees_it_mended(here: HostSecrets) -> None:
    here.place("shop", "A", "1")
    path = here.run / "shop" / f"A.{here.mark('1')}"
    path.chmod(0o600)
    path.write_text("longer than before")
    with path.open() as mounted:  # holds the file, whatever its name then leads to
        here.place("shop", "A", "1")
        assert mounted.read() == "1"


def test_a_rotated_secret_is_a_new_file_and_the_old_one_goes_when_told(here: HostSecrets) -> None:
    here.place("shop", "A", "old")
    here.place("shop", "A", "new")
    old, new = (f"A.{here.mark(value)}" for value in ("old", "new"))
    assert here.present() == {"shop": {old, new}}
    for _ in range(2):
        here.remove("shop", old)
    assert here.present() == {"shop": {new}}
    assert [path.name for path in here.sealed.rglob("A.*")] == [new]


def test_a_stack_is_forgotten_alone_and_more_than_once(here: HostSecrets) -> None:
    here.place("shop", "A", "1")
    here.place("other", "A", "1")
    for _ in range(2):
        here.forget("shop")
    assert here.present().keys() == {"other"}
    assert [path.name for path in (*here.run.iterdir(), *here.sealed.iterdir())] == ["other", "other"]


def test_nothing_is_placed_that_could_not_be_sealed(tmp_path: Path) -> None:
    def refuse(name: str, value: str) -> str:
        raise OpsError("refused")

    here = HostSecrets(tmp_path / "run", tmp_path / "sealed", tmp_path / "key", refuse)
    with pytest.raises(OpsError, match="refused"):
        here.place("shop", "A", "1")
    assert list(here.run.iterdir()) == []


def test_a_disk_that_refuses_is_told_without_the_value(here: HostSecrets, tmp_path: Path) -> None:
    (tmp_path / "sealed").write_text("in the way")
    with pytest.raises(OpsError, match="cannot be written") as caught:
        here.place("shop", "A", "s3cret")
    assert "s3cret" not in str(caught.value)


# -- sealing -----------------------------------------------------------------------------------------------------------


def test_a_host_without_systemds_program_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OpsError, match=r"no program 'systemd-creds' here\. Next: run provision\.yml"):
        seal("shop.A.0", "1")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("cat >/dev/null; echo 'no key' >&2; exit 1", "systemd-creds refused: no key"),
        ('echo "cannot seal $(cat)" >&2; exit 1', r"systemd-creds refused: cannot seal \*\*\*"),
        ("exec sleep 60", "did not end within"),
    ],
    ids=["its words", "without the value", "too long"],
)
def test_a_refusal_is_told_without_the_value(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, said: str
) -> None:
    monkeypatch.setattr(host_secrets, "_SEALING_LIMIT", 0.5)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    program = tmp_path / "systemd-creds"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    with pytest.raises(OpsError, match=said) as caught:
        seal("shop.A.0", "s3cret")
    assert "s3cret" not in str(caught.value)
