"""What a release leaves behind, whichever of its steps fails: real state, files and journal, a simulated runtime.

The stack has no routes, so no edge has to answer; that the edge is switched and returned is tested in the lab.
"""

# ruff: noqa: ARG002 - what a runtime is asked is given by its interface
from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from plugins.module_utils import old_release
from plugins.module_utils.gateway.edge import EdgeFiles
from plugins.module_utils.gateway.engine import Engine, TaskResult
from plugins.module_utils.gateway.host_secrets import HostSecrets
from plugins.module_utils.gateway.host_state import Busy, HostState
from plugins.module_utils.gateway.sockets import DrainResult
from plugins.module_utils.hands import Host
from plugins.module_utils.hurry import deaf, locked_soon
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.receipt import Receipt
from plugins.module_utils.model.release import Release, StackState
from plugins.module_utils.model.switching import Notice
from plugins.module_utils.tend import tend
from plugins.module_utils.transaction import Transaction

TREE = {
    "name": "job",
    "services": {"web": {"image": "r/job:${RELEASE}", "healthcheck": {"disable": True}}},
    "x-ops": {"releases": ["web"]},
}
Interrupt = OpsError | OSError | KeyboardInterrupt


@dataclass
class SimulatedRuntime:
    """Releases that run in a dictionary; ``breaks`` maps a step to what it raises."""

    running: dict[int, bool] = field(default_factory=dict)
    breaks: dict[str, BaseException] = field(default_factory=dict)
    noticed: list[int] = field(default_factory=list)
    open_in: dict[int, int] = field(default_factory=dict)
    put: dict[int, str] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    said: str = ""

    def _reach(self, step: str) -> None:
        if step in self.breaks:
            raise self.breaks[step]

    def fetch(self, release: Release) -> None:
        self._reach("fetch")

    def start(self, release: Release) -> None:
        self.running[release.number] = True
        self._reach("start")

    def wait_ready(self, release: Release, limit_s: float) -> float:
        self._reach("wait_ready")
        return 0.0

    def addresses(self, release: Release) -> Mapping[str, str]:
        self._reach("addresses")
        return {}

    def probe_address(self, release: Release, service: str) -> str:
        return "127.0.0.1"

    def drain(self, release: Release, limit_s: float) -> DrainResult:
        self._reach("drain")
        return DrainResult(limit_s, self.open_in.get(release.number, 0), self.open_in.get(release.number, 0))

    def give_notice(self, release: Release, notice: Notice) -> None:
        self._reach("give_notice")
        self.noticed.append(release.number)

    def stand_by(self, release: Release, how: str) -> None:
        self.running[release.number] = False
        self.put[release.number] = how
        self._reach("stand_by")

    def discard(self, release: Release) -> None:
        self._reach("discard")
        self.running.pop(release.number, None)

    def last_words(self, release: Release) -> str:
        return f"release {release.number} fell over" if release.number in self.running else ""

    def present(self, stack: str) -> frozenset[int]:
        return frozenset(self.running)

    def is_up(self, release: Release) -> bool:
        return release.number in self.running

    def images(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(self.held), frozenset()

    def let_go(self, image: str) -> bool:
        self.held.remove(image)
        return True

    def run_within(self, release: Release, service: str, command: tuple[str, ...], limit_s: float) -> str:
        self._reach("run_within")
        return self.said

    def run_task(self, release: Release, service: str, command: tuple[str, ...], limit_s: float) -> TaskResult:
        raise NotImplementedError


class LoopbackHost(Host):
    """A host whose edge is nowhere: nothing of a stack without routes is asked of it."""

    def edge_address(self) -> str:
        return "127.0.0.1"


@pytest.fixture
def host(tmp_path: Path) -> LoopbackHost:
    """Release 2 is live, 1 on standby."""
    state, files = HostState(tmp_path / "var", tmp_path / "run"), EdgeFiles(tmp_path / "edge", owner=os.geteuid())
    files.prepare()
    runtime = SimulatedRuntime({1: True, 2: True})
    secrets = HostSecrets(tmp_path / "secrets", tmp_path / "sealed", tmp_path / "key")
    host = LoopbackHost(cast(Engine, None), state, secrets, files, runtime, "test")
    for number in (1, 2):
        state.add_record(release(number))
    state.set_state("job", StackState(live=2, standby=1, last=2))
    return host


def release(number: int) -> Release:
    return Release(
        number=number,
        stack="job",
        release=f"sha-000000{number}",
        digests={"web": "sha256:1"},
        tree=TREE,
        definition="d",
        secrets={},
        created_at="2026-11-22T00:00:00.000Z",
    )


def runtime_of(host: Host) -> SimulatedRuntime:
    return cast(SimulatedRuntime, host.runtime)


def deploy(host: Host) -> Receipt:
    host.state.add_record(release(3))
    return Transaction(host, release(3), action="deploy", by="ann", why="test").run()


def last_event(host: Host) -> dict[str, Any]:
    return host.state.history("job")[-1]


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


def with_ops(number: int, **ops: Any) -> Release:
    return replace(release(number), tree={**TREE, "x-ops": {"releases": ["web"], **ops}})


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


SHORT = {
    "database": {"host": "db", "tls": "disable", "user": "u", "password": "P", "names": "n", "when_short": "stop_first"}
}


def deploy_where_room_is_short(host: Host, monkeypatch: pytest.MonkeyPatch) -> Receipt:
    monkeypatch.setattr(old_release, "see_room", lambda *_: True)
    return deploy_short(host)


def deploy_short(host: Host) -> Receipt:
    host.state.add_record(short())
    return Transaction(host, short(), action="deploy").run()


def short() -> Release:
    found = with_ops(3, **SHORT)
    return replace(found, tree={**found.tree, "secrets": {"P": {"environment": "P"}}})


def test_without_room_the_old_release_stops_first_and_its_downtime_is_told(
    host: LoopbackHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt = deploy_where_room_is_short(host, monkeypatch)
    steps = list(receipt.steps)
    assert steps.index("stop the old release first") < steps.index("start the candidate")
    assert runtime_of(host).put[2] in ("stopped", "running")
    assert receipt.downtime_s > 0
    assert "nobody was served for" in receipt.warnings[0]


def test_an_undoing_starts_again_what_was_stopped_first(host: LoopbackHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def ready(release: Release, limit_s: float) -> float:
        if release.number == 3:
            raise OpsError("it is ill")
        return 0.0

    runtime = runtime_of(host)
    runtime.wait_ready = ready  # type: ignore[method-assign]
    with pytest.raises(OpsError, match="it is ill"):
        deploy_where_room_is_short(host, monkeypatch)
    assert (runtime.put[2], runtime.running) == ("stopped", {1: True, 2: True})
    event = last_event(host)
    assert (event["outcome"], event["downtime_s"] > 0) == ("undone", True)


def without_health(runtime: SimulatedRuntime, *numbers: int) -> list[str]:
    """These releases do not become healthy; what is done from now on, in its order."""
    done: list[str] = []
    start, discard = runtime.start, runtime.discard

    def ready(release: Release, limit_s: float) -> float:
        done.append(f"wait for {release.number}")
        if release.number in numbers:
            raise OpsError(f"release {release.number} is ill")
        return 0.0

    def started(release: Release) -> None:
        done.append(f"start {release.number}")
        start(release)

    def discarded(release: Release) -> None:
        done.append(f"discard {release.number}")
        discard(release)

    runtime.wait_ready, runtime.start, runtime.discard = ready, started, discarded  # type: ignore[method-assign]
    return done


def test_an_undoing_does_not_wait_for_an_old_release_that_nobody_stopped(
    host: LoopbackHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ill, which is why somebody deploys."""
    done = without_health(runtime_of(host), 2, 3)
    monkeypatch.setattr(old_release, "see_room", lambda *_: False)
    with pytest.raises(OpsError, match="release 3 is ill"):
        deploy_short(host)
    assert done == ["start 3", "wait for 3", "discard 3"]
    assert (last_event(host)["outcome"], host.state.begun("job")) == ("undone", None)


def test_an_undoing_makes_room_before_it_starts_the_old_release_again_and_ends_when_that_stays_ill(
    host: LoopbackHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = without_health(runtime_of(host), 2, 3)
    with pytest.raises(OpsError, match="release 3 is ill"):
        deploy_where_room_is_short(host, monkeypatch)
    assert done == ["start 3", "wait for 3", "discard 3", "start 2", "wait for 2"]
    event = last_event(host)
    assert (event["outcome"], host.state.begun("job")) == ("undone", None)
    assert event["warnings"][0] == "release 2 was started again and is not healthy yet: release 2 is ill"


@pytest.mark.parametrize("stopped", [False, True])
def test_what_a_process_that_died_had_stopped_is_started_again(host: LoopbackHost, *, stopped: bool) -> None:
    host.state.add_record(short())
    died = Transaction(host, short(), action="deploy").begun
    host.state.begin(died)
    host.files.place("job", {})
    if stopped:
        host.state.journal("job", {"transaction": died.id, "step": "stop the old release first", "event": "begin"})
    done = without_health(runtime_of(host))
    assert tend(host, "job")
    assert done == ["discard 3", *(["start 2", "wait for 2"] if stopped else [])]


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
