"""What a host remembers, on a real disk, and the lock, against real processes that are really killed."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from plugins.module_utils.gateway import host_state
from plugins.module_utils.gateway.host_state import Busy, HostState, write_file
from plugins.module_utils.model.container import config_mark
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.release import Release, StackState


def release(number: int) -> Release:
    return Release(
        number=number,
        stack="shop",
        release="sha-1234567",
        digests={"web": "sha256:1"},
        tree={"name": "shop"},
        definition="d",
        secrets={},
        created_at="2026-11-22T00:00:00.000Z",
    )


@pytest.fixture
def state(tmp_path: Path) -> HostState:
    return HostState(tmp_path / "var", tmp_path / "run")


def test_a_record_is_kept_counted_and_never_changed(state: HostState) -> None:
    state.add_record(release(1))
    state.set_state("shop", StackState(live=1, last=1))
    state.add_record(release(2))
    assert state.record("shop", 1) == release(1)
    assert [found.number for found in state.records("shop")] == [1, 2]
    assert state.state("shop") == StackState(live=1, last=2)
    assert state.stacks() == ("shop",)
    with pytest.raises(OpsError, match="release 2 of 'shop' is already recorded"):
        state.add_record(release(2))


def test_records_are_in_the_order_of_their_numbers(state: HostState) -> None:
    for number in (2, 10, 1):
        state.add_record(release(number))
    assert [found.number for found in state.records("shop")] == [1, 2, 10]


def test_a_crash_between_record_and_state_does_not_block_the_next_release(state: HostState) -> None:
    state.add_record(release(1))
    state.set_state("shop", StackState(live=1, last=1))
    state.add_record(release(2))
    state.set_state("shop", StackState(live=1, last=1))  # as if the crash had come before the count
    assert state.next_number("shop") == 3
    assert HostState(state.root / "bare").next_number("shop") == 1


def test_a_host_without_memory_has_nothing(state: HostState) -> None:
    assert state.state("shop") == StackState()
    assert (state.records("shop"), state.history("shop"), state.stacks()) == ((), [], ())
    with pytest.raises(OpsError, match="stack 'shop' has no release 1 here"):
        state.record("shop", 1)


@pytest.mark.parametrize("text", ["", "{", "[1]", "7"])
def test_a_state_that_cannot_be_read_is_told_by_its_path(state: HostState, text: str) -> None:
    write_file(state.root / "stacks" / "shop" / "state.json", text)
    with pytest.raises(OpsError, match=r"shop/state\.json: cannot be read"):
        state.state("shop")


def test_history_survives_a_line_that_a_crash_cut(state: HostState) -> None:
    state.tell("shop", {"outcome": "done", "number": 1, "why": "ä\nb"})
    path = state.root / "stacks" / "shop" / "history.jsonl"
    with path.open("ab") as handle:
        handle.write('{"outcome": "done", "why": "ä'.encode()[:-1])
    state.tell("shop", {"outcome": "done", "number": 2})
    first, cut, last = state.history("shop")
    assert (first["number"], first["why"], last["number"]) == (1, "ä\nb", 2)
    assert (cut["outcome"], cut["error"]) == ("unreadable", "line 2 of history.jsonl was cut by a crash")


def test_a_file_is_replaced_whole_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_file(path, "a" * 100_000, 0o600)
    seen: set[str] = set()
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            seen.add(path.read_text())

    watcher = threading.Thread(target=watch)
    watcher.start()
    for letter in "bcde" * 5:
        write_file(path, letter * 100_000, 0o600)
    stop.set()
    watcher.join()
    assert {len(text) for text in seen} == {100_000}
    assert all(len(set(text)) == 1 for text in seen)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_a_disk_that_refuses_is_an_error_that_can_be_undone_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where a folder is needed")
    with pytest.raises(OpsError, match=r"cannot be written: (Not a directory|File exists)"):
        write_file(tmp_path / "file" / "x", "text")
    with pytest.raises(OpsError, match=r"cannot be written"):
        HostState(tmp_path / "file").journal("shop", {})


# -- the lock ----------------------------------------------------------------------------------------------------------

HOLDER = """
import sys, time
from pathlib import Path
from plugins.module_utils.gateway.host_state import HostState
with HostState(Path(sys.argv[1]), Path(sys.argv[1])).locked("shop", "deploy of sha-1 by ann"):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def holder(run: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(run)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_lock_names_its_holder_and_dies_with_it(state: HostState) -> None:
    with holder(state.run) as process:
        with pytest.raises(OpsError) as caught, state.locked("shop", "converge"):
            pass
        assert f"stack 'shop' is being changed: deploy of sha-1 by ann, pid {process.pid} (" in caught.value.what
        with state.locked("other", "converge"):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with state.locked("shop", "converge"):
            assert (state.run / "shop.lock").read_text().startswith(f"converge, pid {os.getpid()}")


@pytest.mark.parametrize(
    ("cgroup", "unit", "stoppable"),
    [
        ("0::/system.slice/seisei-release-shop-0123456789ab.service\n", "seisei-release-shop-0123456789ab", True),
        ("0::/docker/x/system.slice/seisei-watch-shop-0123456789ab.service\n", "seisei-watch-shop-0123456789ab", True),
        ("4:memory:/a\n1:name=systemd:/system.slice/seisei-tend.service\n0::/\n", "seisei-tend", False),
        ("0::/user.slice/user-0.slice/session-3.scope\n", "", False),
        ("0::/system.slice/ssh.service\n", "", False),
    ],
)
def test_the_lock_names_the_unit_of_its_holder_and_how_it_is_ended(
    state: HostState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cgroup: str, unit: str, stoppable: bool
) -> None:
    (tmp_path / "cgroup").write_text(cgroup)
    assert host_state.own_unit(tmp_path / "cgroup") == unit
    assert host_state.own_unit(tmp_path / "nowhere") == ""
    monkeypatch.setattr(host_state, "own_unit", lambda: unit)
    with state.locked("shop", "deploy of sha-1 by ann"), pytest.raises(Busy) as caught, state.locked("shop", "two"):
        pass
    assert (f"), in {unit}, since " in caught.value.what) == bool(unit)
    assert (f"systemctl stop {unit} (" in caught.value.do) == stoppable
    assert caught.value.do.startswith("wait for it to end, then run this again")


def test_a_holder_that_is_asked_to_end_lets_the_lock_go(state: HostState) -> None:
    with holder(state.run) as process:
        process.terminate()
        assert process.wait(5) == -signal.SIGTERM
        with state.locked("shop", "two"):
            pass


def test_the_lock_is_given_back_and_closed_to_others(state: HostState) -> None:
    with pytest.raises(ValueError, match="broken"), state.locked("shop", "one"):
        raise ValueError("broken")
    with state.locked("shop", "two"), pytest.raises(OpsError, match="two, pid"), state.locked("shop", "three"):
        pass
    assert (state.run / "shop.lock").stat().st_mode & 0o777 == 0o600


def test_configs_are_known_by_their_paths_and_content(state: HostState) -> None:
    path = state.root / "configs" / "shop" / f"{config_mark(b'text')}-ca"
    state.place_config(str(path), "text")
    assert state.configs() == {str(path): True}
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("text", 0o644)
    file = path.stat().st_ino
    path.write_text("a longer text of somebody's")
    assert state.configs() == {str(path): False}
    state.place_config(str(path), "text")
    assert (state.configs(), path.stat().st_ino) == ({str(path): True}, file), "a container would not see another file"


def test_what_was_applied_is_written_when_it_changed(state: HostState) -> None:
    assert (state.applied("shop"), state.known("shop")) == (None, False)
    state.set_applied("shop", {"a": 1})
    path = state.root / "stacks" / "shop" / "applied.json"
    first = path.stat().st_ino
    state.set_applied("shop", {"a": 1})
    assert (path.stat().st_ino, state.known("shop")) == (first, True)
    state.set_applied("shop", {"a": 2})
    assert state.applied("shop") == {"a": 2}


def test_forgetting_a_stack_leaves_its_history(state: HostState) -> None:
    state.set_applied("shop", {})
    state.tell("shop", {"action": "deploy"})
    state.journal("shop", {"step": "x"})
    state.place_config(str(state.root / "configs" / "shop" / "0-ca"), "text")
    state.forget("shop")
    state.forget("shop")
    assert [path.name for path in (state.root / "stacks" / "shop").iterdir()] == ["history.jsonl"]
    assert (state.configs(), state.known("shop")) == ({}, False)


def test_a_line_that_does_not_fit_is_not_left_cut(tmp_path: Path) -> None:
    state = HostState(tmp_path)
    state.tell("shop", {"action": "deploy"})
    path = tmp_path / "stacks" / "shop" / "history.jsonl"
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
    try:
        with pytest.raises(OpsError, match="cannot be written: No space left on device"):
            state.tell("shop", {"action": "roll_back"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    state.tell("shop", {"action": "roll_back"})
    assert [event["action"] for event in state.history("shop")] == ["deploy", "roll_back"]


def test_a_file_that_does_not_fit_leaves_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_file(path, "before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        with pytest.raises(OpsError, match="cannot be written"):
            write_file(path, "after " * 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [one.name for one in tmp_path.iterdir()] == ["state.json"]
    assert path.read_text() == "before"
