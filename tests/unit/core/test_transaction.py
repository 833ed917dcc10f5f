"""What a release leaves behind, whichever of its steps fails: real state, files and journal, a simulated runtime.

The stack has no routes, so no edge has to answer; that the edge is switched and returned is tested in the lab.
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from plugins.module_utils.gateway.host_state import Busy
from plugins.module_utils.gateway.sockets import DrainResult
from plugins.module_utils.hands import Host
from plugins.module_utils.hurry import deaf, locked_soon
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.receipt import Receipt
from plugins.module_utils.model.release import Release, StackState
from plugins.module_utils.transaction import Transaction
from tests.unit.core.transaction_parts import (
    LoopbackHost,
    SimulatedRuntime,
    deploy,
    host_in,
    last_event,
    release,
    runtime_of,
    with_ops,
)

Interrupt = OpsError | OSError | KeyboardInterrupt


@pytest.fixture
def host(tmp_path: Path) -> LoopbackHost:
    """Release 2 is live, 1 on standby."""
    return host_in(tmp_path)


def test_a_release_goes_live_and_the_old_one_stands_by(host: LoopbackHost) -> None:
    receipt = deploy(host)
    assert receipt.outcome == "done"
    assert host.state.state("job") == StackState(live=3, standby=2, last=3)
    assert runtime_of(host).running == {2: False, 3: True}
    event = last_event(host)
    assert (event["outcome"], event["number"], event["previous"], event["by"]) == ("done", 3, 2, "ann")


@pytest.mark.parametrize("error", [OpsError("broken"), OSError(errno.EIO, "broken"), KeyboardInterrupt("broken")])
@pytest.mark.parametrize("step", ["fetch", "start", "wait_ready", "addresses"])
def test_a_failure_on_the_way_leaves_all_as_it_was(host: LoopbackHost, step: str, error: Interrupt) -> None:
    runtime_of(host).breaks[step] = error
    with pytest.raises((type(error), OpsError), match="broken"):
        deploy(host)
    found = host.state.state("job")
    assert (found.live, found.standby, found.last) == (2, 1, 3)
    assert last_event(host)["number"] == 3
    if step != "addresses":  # then the edge cannot be returned either, and that is told
        assert runtime_of(host).running == {1: True, 2: True}
        assert (found.bad, last_event(host)["outcome"]) == ((), "undone")


def test_a_release_that_fails_its_tests_after_the_switch_is_marked_bad(host: LoopbackHost, monkeypatch: Any) -> None:
    def smoke(transaction: Transaction, target_of: Any) -> None:
        if target_of == transaction.probes.as_visitor:
            raise OpsError("smoke tests 0/1")

    monkeypatch.setattr(Transaction, "_smoke", smoke)
    with pytest.raises(OpsError, match="smoke tests 0/1"):
        deploy(host)
    assert host.state.state("job") == StackState(live=2, standby=1, last=3, bad=(3,))
    assert runtime_of(host).running == {1: True, 2: True}


def test_a_release_is_not_bad_because_the_disk_is_full(host: LoopbackHost, monkeypatch: Any) -> None:
    def refuse(stack: str, state: StackState) -> None:
        if state.live == 3:
            raise OpsError("the disk is full")
        original(stack, state)

    original: Callable[[str, StackState], None] = host.state.set_state
    monkeypatch.setattr(host.state, "set_state", refuse)
    with pytest.raises(OpsError, match="the disk is full"):
        deploy(host)
    assert host.state.state("job") == StackState(live=2, standby=1, last=3)
    assert runtime_of(host).running == {1: True, 2: True}


def test_an_undoing_that_fails_says_both_and_what_to_do(host: LoopbackHost) -> None:
    runtime_of(host).breaks["addresses"] = OpsError("the edge is gone")
    with pytest.raises(OpsError, match=r"edge is gone; undoing it failed as well: the edge is gone.*run converge\.yml"):
        deploy(host)
    assert last_event(host)["outcome"] == "stuck"
    assert host.state.state("job").live == 2


def test_a_candidate_that_cannot_be_removed_is_told_and_the_undoing_ends(host: LoopbackHost) -> None:
    runtime_of(host).breaks |= {"wait_ready": OpsError("it is ill"), "discard": OpsError("device or resource busy")}
    with pytest.raises(OpsError, match="it is ill") as failed:
        deploy(host)
    assert "undoing it failed" not in str(failed.value)
    assert host.state.begun("job") is None
    (warning,) = last_event(host)["warnings"]
    assert warning.startswith("release 3 could not be removed, and nobody is led to it: device or resource busy")
    assert "converge.yml" in warning


@pytest.mark.parametrize("step", ["drain", "stand_by", "discard"])
def test_what_fails_once_it_is_live_does_not_take_it_back(host: LoopbackHost, step: str) -> None:
    runtime_of(host).breaks[step] = OpsError("broken")
    receipt = deploy(host)
    assert (receipt.outcome, receipt.warnings) == ("done", ["broken"])
    assert host.state.state("job") == StackState(live=3, standby=2, last=3)
    assert runtime_of(host).running[3]


@pytest.mark.parametrize("step", ["drain", "stand_by", "discard"])
def test_a_stop_heard_while_tidying_up_does_not_lead_back_to_a_stopped_release(host: LoopbackHost, step: str) -> None:
    runtime_of(host).breaks[step] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        deploy(host)
    assert host.state.state("job") == StackState(live=3, standby=2, last=3)
    assert runtime_of(host).running[3]
    assert last_event(host)["outcome"] == "done"


def test_a_rollback_that_fails_keeps_the_standby(host: LoopbackHost) -> None:
    runtime_of(host).breaks["wait_ready"] = OpsError("broken")
    with pytest.raises(OpsError, match="broken"):
        Transaction(host, release(1), action="roll_back").run()
    assert runtime_of(host).running == {1: True, 2: True}
    assert host.state.state("job") == StackState(live=2, standby=1, last=2)


def test_a_rollback_swaps_live_and_standby(host: LoopbackHost) -> None:
    Transaction(host, release(1), action="roll_back").run()
    assert host.state.state("job") == StackState(live=1, standby=2, last=2)


def test_a_first_release_that_fails_leaves_nothing(host: LoopbackHost) -> None:
    host.state.set_state("job", StackState(last=2))
    runtime_of(host).running.clear()
    runtime_of(host).breaks["wait_ready"] = OpsError("broken")
    with pytest.raises(OpsError, match="broken"):
        deploy(host)
    assert runtime_of(host).running == {}
    assert host.state.state("job") == replace(StackState(), last=3)
    assert host.files.all() == {}


def test_what_a_candidate_said_last_is_kept_when_it_is_removed(host: LoopbackHost, tmp_path: Path) -> None:
    candidate = release(3)
    host.state.add_record(candidate)
    cast(SimulatedRuntime, host.runtime).breaks["wait_ready"] = OpsError("it is unhealthy")
    with pytest.raises(OpsError, match="it is unhealthy"):
        Transaction(host, candidate, action="deploy").run()
    journal = (tmp_path / "var" / "stacks" / "job" / "journal.jsonl").read_text()
    assert "release 3 fell over" in journal


def deploy_from(host: Host, old: dict[str, Any], *, still_open: int) -> Receipt:
    """Deploy release 4 from release 3, which is live, has these ops, and still has connections open."""
    host.state.add_record(with_ops(3, **old))
    host.state.set_state("job", StackState(live=3, standby=2, last=3))
    runtime_of(host).running[3] = True
    runtime_of(host).open_in[3] = still_open
    host.state.add_record(release(4))
    return Transaction(host, release(4), action="deploy").run()


def test_the_old_release_gets_notice_as_it_understands_it_itself(host: LoopbackHost) -> None:
    receipt = deploy_from(host, {"drain_notice": "SIGUSR1"}, still_open=0)
    assert runtime_of(host).noticed == [3]
    assert "give the old release notice" in receipt.steps
    assert receipt.drained["notice"] is True


def test_without_a_notice_nobody_is_told(host: LoopbackHost) -> None:
    receipt = deploy_from(host, {}, still_open=0)
    assert runtime_of(host).noticed == []
    assert "give the old release notice" not in receipt.steps


@pytest.mark.parametrize(("standby", "left", "cut"), [("running", 2, 0), ("paused", 0, 2), ("stopped", 0, 2)])
def test_open_connections_are_cut_where_the_release_stops(
    host: LoopbackHost, standby: str, left: int, cut: int
) -> None:
    receipt = deploy_from(host, {"standby": standby}, still_open=2)
    assert (receipt.drained["in_flight"], receipt.drained["left"], receipt.drained["cut"]) == (2, left, cut)
    assert runtime_of(host).put[3] == ("stopped" if standby == "paused" else standby)  # nobody is frozen with it
    assert len(receipt.warnings) == (standby == "paused")


def test_a_quiet_release_is_paused(host: LoopbackHost) -> None:
    receipt = deploy_from(host, {"standby": "paused"}, still_open=0)
    assert (runtime_of(host).put[3], receipt.warnings) == ("paused", [])


def test_connections_of_a_standby_that_goes_are_counted_as_cut(host: LoopbackHost) -> None:
    runtime_of(host).open_in[2] = 3  # web sockets from before the last switch
    receipt = deploy_from(host, {}, still_open=1)
    assert (receipt.drained["left"], receipt.drained["cut"]) == (1, 3)
    assert 2 not in runtime_of(host).running


def test_who_wants_to_go_back_does_not_wait_for_the_last_requests(host: LoopbackHost) -> None:
    runtime = runtime_of(host)
    draining, said = threading.Event(), []

    def drain(release: Release, limit_s: float) -> DrainResult:
        draining.set()
        time.sleep(30)
        raise AssertionError("nobody cut it short")

    def go_back() -> None:
        assert draining.wait(10)
        with locked_soon(host, "job", "rollback by bob"):
            said.append(host.state.state("job").live)

    runtime.drain = drain  # type: ignore[method-assign]
    other = threading.Thread(target=go_back)
    other.start()
    deaf()
    began = time.monotonic()
    with host.state.locked("job", "deploy by ann"):
        receipt = deploy(host)
    other.join(10)
    assert time.monotonic() - began < 5
    assert receipt.outcome == "done"
    assert receipt.warnings == ["tidying up was cut short, since the release is left again"]
    assert said == [3]
    assert runtime.running == {1: True, 2: True, 3: True}, "what is gone back to is not stopped"


def test_who_wants_to_go_back_is_refused_at_once_by_a_release_that_is_not_live_yet(host: LoopbackHost) -> None:
    host.state.begin(Transaction(host, release(1), action="roll_back").begun)
    deaf()
    with (
        host.state.locked("job", "deploy by ann"),
        pytest.raises(Busy, match="is being changed: deploy by ann"),
        locked_soon(host, "job", "rollback by bob"),
    ):
        pass
