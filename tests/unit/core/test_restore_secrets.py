"""The program that brings secrets back after a boot, with copies that open at once; the real ones are on a host."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from plugins.module_utils.gateway.host_secrets import HostSecrets

PROGRAM = Path(__file__).resolve().parents[3] / "roles" / "host" / "files" / "restore_secrets.py"


def readable(name: str, value: str) -> str:
    return f"{name}\n{value}"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("restore_secrets", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def opened(sealed: Path, name: str) -> bytes:
        written, _, value = sealed.read_bytes().partition(b"\n")
        if written.decode() != name:
            raise ValueError("systemd-creds refused: another name")
        return value

    monkeypatch.setattr(module, "opened", opened)
    return module


@pytest.fixture
def here(tmp_path: Path) -> HostSecrets:
    """A host that lost its memory, as with a boot."""
    placed = HostSecrets(tmp_path / "before", tmp_path / "secrets", tmp_path / "fingerprint.key", readable)
    for stack, name, value in (("shop", "A", "1"), ("shop", "B", "ä\r\n"), ("other", "A", "1")):
        placed.place(stack, name, value)
    return HostSecrets(tmp_path / "run", tmp_path / "secrets", tmp_path / "fingerprint.key", readable)


def test_what_was_placed_is_present_again(program: ModuleType, here: HostSecrets, tmp_path: Path) -> None:
    before = HostSecrets(tmp_path / "before", here.sealed, here.key).present()
    assert here.present() == {}
    for _ in range(2):
        assert program.main(tmp_path, here.run) == 0
        assert here.present() == before
    files = [path for path in here.run.rglob("*") if path.is_file()]
    assert [path.stat().st_mode & 0o777 for path in files] == [0o444] * 3
    assert here.run.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("harm", ["renamed", "other value", "no key"])
def test_a_bad_copy_is_named_and_does_not_stop_the_others(
    program: ModuleType, here: HostSecrets, tmp_path: Path, harm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = here.sealed / "shop" / f"A.{here.mark('1')}"
    if harm == "renamed":
        copy = copy.rename(copy.with_name(f"C{copy.suffix}"))
    elif harm == "other value":
        copy.write_text(readable(f"shop.{copy.name}", "s3cret"))
    else:
        here.key.unlink()
    assert program.main(tmp_path, here.run) == 1
    told = capsys.readouterr().err
    assert f"{copy}: " in told
    assert "s3cret" not in told
    back = {path.parent.name + "/" + path.name.partition(".")[0] for path in here.run.rglob("*.*") if path.is_file()}
    assert back == (set() if harm == "no key" else {"shop/B", "other/A"})


def test_a_host_without_secrets_has_nothing_to_do(program: ModuleType, tmp_path: Path) -> None:
    assert program.main(tmp_path, tmp_path / "run") == 0
    assert list(tmp_path.iterdir()) == []
