"""The child that enters a container: its answers, its failures, its end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from plugins.module_utils.gateway.container_files import read_mounted_files
from plugins.module_utils.gateway.namespace import credentials_of, run_inside
from plugins.module_utils.model.errors import OpsError


def test_an_answer_comes_back_from_another_process() -> None:
    assert run_inside(0, (), os.getpid, deadline_s=5) != os.getpid()


def test_a_failure_is_told_and_not_swallowed() -> None:
    def fail() -> None:
        raise ValueError("out of cheese")

    with pytest.raises(OpsError, match="ValueError: out of cheese"):
        run_inside(0, (), fail, deadline_s=5)


def test_a_child_that_hangs_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(OpsError, match="gave no answer within"):
        run_inside(0, (), lambda: time.sleep(30), deadline_s=0.2)
    assert time.monotonic() - began < 5
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_long_answer_is_whole() -> None:
    assert len(run_inside(0, (), lambda: "x" * 3_000_000, deadline_s=10)) == 3_000_000


def test_a_process_that_is_gone_is_named() -> None:
    with pytest.raises(OpsError, match="ended while it was looked at"):
        credentials_of(2**22 + 1)


def test_a_volume_cannot_lead_to_a_file_of_the_host(tmp_path: Path) -> None:
    folder = tmp_path
    (folder / "volume").mkdir()
    (folder / "secret").write_text("of the host")
    (folder / "volume" / "link").symlink_to(folder / "secret")
    (folder / "volume" / "own").write_text("of the container")
    mounts = {"/data": str(folder / "volume"), "/run/secrets/P": str(folder / "secret")}
    seen = read_mounted_files(mounts, ["/data/link", "/data/own", "/data/../secret", "/run/secrets/P", "/else"])
    assert {path: file.state for path, file in seen.items()} == {
        "/data/link": "not_a_file",
        "/data/own": "ok",
        "/data/../secret": "not_a_file",
        "/run/secrets/P": "ok",
        "/else": "missing",
    }
