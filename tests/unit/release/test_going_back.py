"""Going back to an earlier release when something is already wrong: that is when somebody wants to."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from plugins.module_utils import release, transaction, unit
from plugins.module_utils import tend as tending
from plugins.module_utils.converge import Wish, converge
from plugins.module_utils.gateway.edge import EdgeApi
from plugins.module_utils.gateway.host_state import Busy
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.smoke import SmokeResult
from plugins.module_utils.release import deploy, roll_back
from plugins.module_utils.transaction import Transaction
from tests.property.release_parts import NEW, OLD, STACK, EdgeHost, host_with_a_release, request, served, simulated_edge
from tests.property.simulated_engine import SimulatedEngine


@pytest.fixture(autouse=True, scope="module")
def _edge() -> Iterator[None]:
    with simulated_edge():
        yield


@pytest.fixture
def host() -> Iterator[EdgeHost]:
    """The new release is live, the old one on standby."""
    with host_with_a_release() as (host, _):
        deploy(host, request(host), NEW)
        yield host


def cut_off(host: EdgeHost) -> Transaction:
    """A deploy of a third release that died before it was live."""
    third = replace(host.state.record(STACK, 2), number=3, release="sha-3333333")
    host.state.add_record(third)
    died = Transaction(host, third, action="deploy", by="ann")
    host.state.begin(died.begun)
    return died


def cut_off_rollback(host: EdgeHost) -> Transaction:
    died = Transaction(host, host.state.record(STACK, 1), action="roll_back", by="ann")
    host.state.begin(died.begun)
    return died


def cannot(host: EdgeHost, stack: str, cause: str = "") -> Any:
    raise OpsError("it could not be undone", where=stack)


# -- what could not be put right ---------------------------------------------------------------------------------------


def test_what_could_not_be_put_right_does_not_stop_a_rollback_where_edge_and_state_agree(
    host: EdgeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    died = cut_off_rollback(host)
    monkeypatch.setattr(tending, "tend", cannot)
    receipt, said = roll_back(host, request(host))
    assert receipt
    assert (receipt.outcome, served(host)) == ("done", OLD)
    assert any("not all that the roll_back before left could be put right" in line for line in said)
    ends = {event["transaction"]: event["outcome"] for event in host.state.history(STACK)}
    assert ends[died.begun.id] == "undone", "it is told how it ended, since nobody comes upon it any more"
    assert host.state.begun(STACK) is None


def test_what_could_not_be_put_right_stops_a_rollback_where_the_edge_leads_elsewhere(
    host: EdgeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off_rollback(host)
    monkeypatch.setattr(tending, "tend", cannot)
    host.files.place(STACK, {})
    with pytest.raises(OpsError, match="it could not be undone"):
        roll_back(host, request(host))
    assert host.state.begun(STACK) is not None


def test_what_could_not_be_put_right_stops_a_rollback_where_the_edge_does_not_answer(
    host: EdgeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off_rollback(host)
    monkeypatch.setattr(tending, "tend", cannot)
    host.edge_api = lambda: EdgeApi("http://127.0.0.1:1")  # type: ignore[method-assign]
    monkeypatch.setattr(tending, "LIVE_LIMIT_S", 0.1)
    with pytest.raises(OpsError, match="it could not be undone"):
        roll_back(host, request(host))


# -- a deploy that died, and is undone first ---------------------------------------------------------------------------


def test_a_rollback_that_comes_upon_a_deploy_that_died_undoes_it_and_goes_no_further(host: EdgeHost) -> None:
    cut_off(host)
    _, rehearsed = roll_back(host, request(host), rehearse=True)
    assert rehearsed == ["shop: a deploy goes on or was cut off; where it died it is undone, and no more"]
    receipt, said = roll_back(host, request(host))
    assert receipt is None
    assert said == [
        "shop: the deploy of sha-3333333 had been cut off; it was undone",
        f"shop: what was being deployed is undone, and {NEW} serves; run this again to go further back",
    ]
    assert (served(host), host.state.state(STACK).live) == (NEW, 2)
    again, _ = roll_back(host, request(host))
    assert again
    assert served(host) == OLD


def test_it_goes_no_further_either_where_another_was_quicker_to_undo_it(
    host: EdgeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The unit's own tending has the lock when the rollback comes, and lets go of it."""
    cut_off(host)

    @contextmanager
    def soon(_: EdgeHost, stack: str, what: str) -> Iterator[None]:
        with host.state.locked(stack, "mending"):
            tending.tend(host, stack)
        with host.state.locked(stack, what):
            yield

    monkeypatch.setattr(release, "locked_soon", soon)
    receipt, said = roll_back(host, request(host))
    assert (receipt, served(host)) == (None, NEW)
    assert said[-1].endswith("run this again to go further back")


def test_a_named_release_is_gone_back_to_whatever_died_before(host: EdgeHost) -> None:
    cut_off(host)
    receipt, _ = roll_back(host, request(host), sha=OLD)
    assert receipt
    assert served(host) == OLD


def test_a_rollback_that_died_is_undone_and_done_again(host: EdgeHost) -> None:
    cut_off_rollback(host)
    receipt, _ = roll_back(host, request(host))
    assert receipt
    assert served(host) == OLD


def test_what_was_deployed_last_is_left_where_it_had_gone_live_before_it_died(host: EdgeHost) -> None:
    died = Transaction(host, host.state.record(STACK, 2), action="deploy")
    host.state.begin(replace(died.begun, before=replace(died.begun.before, live=1, standby=0)))
    receipt, _ = roll_back(host, request(host))
    assert receipt
    assert served(host) == OLD


# -- what is gone back to, is not judged -------------------------------------------------------------------------------


def ill(*_: Any) -> list[SmokeResult]:
    return [SmokeResult("login", passed=False, reason="status 500")]


def test_a_smoke_test_that_fails_in_a_rollback_is_told_and_neither_stops_nor_condemns_it(
    host: EdgeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transaction, "run_smoke", ill)
    receipt, _ = roll_back(host, request(host))
    assert receipt
    assert receipt.warnings == ["smoke tests 0/1: login: status 500"] * 2
    assert (served(host), host.state.state(STACK).bad) == (OLD, ())


def test_a_rollback_that_the_edge_does_not_confirm_is_undone_and_condemns_nobody(
    host: EdgeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Transaction, "_confirm", lambda _: cannot(host, STACK))
    with pytest.raises(OpsError, match="could not be undone"):
        roll_back(host, request(host))
    assert (served(host), host.state.state(STACK).bad) == (NEW, ())


def test_a_rollback_that_died_after_its_confirmation_had_failed_condemns_nobody(host: EdgeHost) -> None:
    died = cut_off_rollback(host)
    failed = {"transaction": died.begun.id, "step": "confirm through the edge", "event": "failed", "error": "502"}
    host.state.journal(STACK, failed)
    with host.state.locked(STACK, "test"):
        tending.tend(host, STACK)
    assert host.state.state(STACK).bad == ()


def test_a_release_that_was_taken_back_is_gone_back_to_by_its_name_with_a_warning(host: EdgeHost) -> None:
    host.state.set_state(STACK, replace(host.state.state(STACK), bad=(1,)))
    with pytest.raises(OpsError, match="there is no good release 1 step back"):
        roll_back(host, request(host))
    receipt, said = roll_back(host, request(host), sha=OLD)
    assert receipt
    assert served(host) == OLD
    assert any(line == f"  warning: {OLD} was taken back here before: history does not say why" for line in said)


# -- what stands in the way, and need not ------------------------------------------------------------------------------


def test_a_container_that_cannot_be_removed_does_not_stop_a_rollback(host: EdgeHost) -> None:
    engine = cast(SimulatedEngine, host.engine)
    left = replace(next(one for one in engine.found.values() if one.number == 2), name="left-over", number=3)
    engine.found[left.name] = left
    host.state.add_record(replace(host.state.record(STACK, 2), number=3, release="sha-3333333"))
    stop = engine.stop

    def refuse(name: str, grace_s: int | None = None) -> None:
        if name == left.name:
            raise OpsError("device or resource busy", where=f"container {name}")
        stop(name, grace_s)

    engine.stop = refuse  # type: ignore[method-assign]
    receipt, said = roll_back(host, request(host))
    assert receipt
    assert served(host) == OLD
    assert any("warning: container left-over: device or resource busy" in line for line in said)


HOLDER = """
import fcntl, os, signal, sys, time
if sys.argv[3] == "deaf":
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
with open(sys.argv[1], "a+") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    lock.truncate(0)
    lock.write(f"{sys.argv[2]}, pid {os.getpid()} (root), since now")
    lock.flush()
    print("held", flush=True)
    time.sleep(float(sys.argv[4]))
"""


@contextmanager
def held_by_another(host: EdgeHost, what: str, ears: str, seconds: float) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", HOLDER, str(host.state.run / f"{STACK}.lock"), what, ears, str(seconds)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        yield holder
        holder.kill()


@pytest.mark.parametrize("what", ["the end of what a switch left for a time", "mending of the deploy that was cut off"])
def test_what_the_host_does_by_itself_is_waited_for(host: EdgeHost, what: str) -> None:
    assert what[:12] in Path(unit.__file__).read_text(), "that is what the unit calls it"
    with held_by_another(host, what, "deaf", 0.5):
        receipt, _ = roll_back(host, request(host))
    assert receipt


def test_a_holder_that_does_not_hear_is_not_killed(host: EdgeHost) -> None:
    cut = Transaction(host, host.state.record(STACK, 2), action="deploy")
    host.state.begin(cut.begun)
    with held_by_another(host, "converge", "hears nothing", 30) as holder:
        with pytest.raises(Busy, match="converge"):
            roll_back(host, request(host))
        assert holder.poll() is None, "it would have died of the signal"


def test_a_convergence_hears_the_signal_and_goes_on() -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    try:
        with host_with_a_release() as (host, _):
            converge(host, Wish())
        assert signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR1, before)
