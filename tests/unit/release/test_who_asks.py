"""Who asks for a release: as the gate found, and in a form that lies to nobody who reads a lock."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any, cast

import pytest

from plugins.module_utils import hurry, release
from plugins.module_utils.gateway.host_state import Busy, HostState, now
from plugins.module_utils.hands import Host
from plugins.module_utils.model.begun import Begun
from plugins.module_utils.model.release import StackState

NOTHING = cast(Any, None)


@pytest.mark.parametrize(
    ("said", "gate", "by"),
    [
        ("naoko@laptop", None, "naoko@laptop"),
        ("長嶋@laptop.local", {}, "長嶋@laptop.local"),
        ("cto@laptop", {"requester": "naoko", "relied_on": []}, "naoko"),
        ("x, pid 1 (root), since\n\x1b[2K@y", {}, "xpid1rootsince2K@y"),
        (" ", {}, "nobody"),
        ("a" * 500, {}, "a" * 64),
    ],
)
def test_who_asks(said: str, gate: Any, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "wanted_from", lambda *_: NOTHING)
    given = {"entry": {}, "secrets": {}, "requested_by": said, "gate": gate}
    assert release.request_from(NOTHING, given).by == by


def test_who_is_named_in_a_lock_does_not_choose_which_process_gets_the_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: killed.append(pid))
    host = Host(NOTHING, HostState(tmp_path / "var", tmp_path / "run"), NOTHING, NOTHING, NOTHING, "production")
    host.state.set_state("shop", StackState(live=2))
    host.state.begin(Begun("t", "shop", 2, "deploy", StackState(live=1), was_present=False, began=now()))
    monkeypatch.setattr(hurry, "PATIENCE_S", 0.0)
    before = signal.signal(hurry.SIGNAL, signal.SIG_IGN)  # as a holder does that hears it
    taken = host.state.locked("shop", "deploy of sha-1 by x, pid 1 (root)")
    try:
        with taken, pytest.raises(Busy), hurry.locked_soon(host, "shop", "rollback"):
            pass
    finally:
        signal.signal(hurry.SIGNAL, before)
    assert set(killed) == {os.getpid()}
