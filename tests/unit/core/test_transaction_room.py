"""A release for which the database has no room beside the old one: stopped first, and started again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from plugins.module_utils import old_release
from plugins.module_utils.hands import Host
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.receipt import Receipt
from plugins.module_utils.model.release import Release
from plugins.module_utils.tend import tend
from plugins.module_utils.transaction import Transaction
from tests.unit.core.transaction_parts import (
    LoopbackHost,
    SimulatedRuntime,
    host_in,
    last_event,
    runtime_of,
    with_ops,
)


@pytest.fixture
def host(tmp_path: Path) -> LoopbackHost:
    """Release 2 is live, 1 on standby."""
    return host_in(tmp_path)


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
