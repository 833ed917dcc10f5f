"""Whatever dies, refuses or loses its answer during a release: tending brings the stack to rest, and nothing is lost.

The real deploy, rollback, transaction and tend, with real files, over a simulated engine and a simulated edge. Every
call that changes anything can go wrong: of the engine, of the host's memory (a full disk, a death between two writes),
and of the edge's files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugins.module_utils.hands import Host
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.receipt import DONE, STUCK, UNDONE
from plugins.module_utils.model.stack import parse_tree
from plugins.module_utils.plan.edge import compile_stack
from plugins.module_utils.plan.settings import settings_of
from plugins.module_utils.release import deploy, roll_back
from plugins.module_utils.tend import tend
from tests.property.release_parts import (
    NEW,
    OF_STATE,
    OLD,
    STACK,
    host_with_a_release,
    request,
    served,
    simulated_edge,
)
from tests.property.simulated_engine import (
    FAULTS,
    KILLED_AFTER,
    KILLED_BEFORE,
    LOST,
    REFUSED,
    Faults,
    Killed,
    SimulatedEngine,
)


def attempt(engine: SimulatedEngine, faults: Mapping[int, str], what: Callable[[], Any]) -> None:
    """One try that may fail or die; the kernel lets its lock go, as it does for a dead process."""
    engine.faults = Faults(faults)
    with suppress(OpsError, Killed):
        what()
    engine.faults = Faults()


def tending(host: Host) -> Any:
    with host.state.locked(STACK, "tend"):
        return tend(host, STACK)


def at_rest(host: Host, engine: SimulatedEngine) -> None:
    """One release is live and recorded as such, the edge leads to it, and it runs; nothing else is left."""
    assert host.state.begun(STACK) is None
    state = host.state.state(STACK)
    live = host.state.record(STACK, state.live)
    stack = host.runtime.addresses(live)
    routes = parse_tree(live.tree, "").ops.routes
    assert host.files.all() == {STACK: compile_stack(STACK, routes, stack, cert_resolver=None)}
    running = {one.number for one in engine.found.values() if one.stack == STACK and one.running}
    assert state.live in running
    lives = [one for one in engine.found.values() if one.stack == STACK and one.number == state.live]
    assert all(settings_of(one.told, {}).get("cpu_shares") is None for one in lives), "it stands back for ever"
    present = {one.number for one in engine.found.values() if one.stack == STACK}
    assert present <= {state.live, state.standby}, "what a release left was not removed"
    events = [event for event in host.state.history(STACK) if event["outcome"] != STUCK]
    assert len({event["transaction"] for event in events}) == len(events), "its end was told twice"
    assert all(event["outcome"] in (DONE, UNDONE) for event in events)
    told = [event["number"] for event in events if event["outcome"] == DONE]
    assert told[-1] == state.live
    assert not list(host.files.incoming.iterdir())
    with host.state.locked(STACK, "test"):
        pass


@pytest.fixture(autouse=True, scope="module")
def _edge() -> Iterator[None]:
    with simulated_edge():
        yield


FAULT_PLAN = st.dictionaries(st.integers(1, 45), st.sampled_from(FAULTS), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(first=FAULT_PLAN, then=st.lists(FAULT_PLAN, max_size=2), back=st.booleans())
def test_whatever_went_wrong_tending_brings_the_stack_to_rest(
    first: dict[int, str], then: list[dict[int, str]], back: bool
) -> None:
    with host_with_a_release() as (host, engine):
        if back:
            deploy(host, request(host), NEW)
            attempt(engine, first, lambda: roll_back(host, request(host)))
        else:
            attempt(engine, first, lambda: deploy(host, request(host), NEW))
        for plan in then:
            attempt(engine, plan, lambda: tending(host))
        for _ in range(2):
            tending(host)
        tidy(host)
        at_rest(host, engine)


@pytest.mark.parametrize("fault", [KILLED_BEFORE, KILLED_AFTER])
def test_killed_at_any_call_it_is_at_rest_after_tending_once(fault: str) -> None:
    live, died = set(), 0
    for call in range(1, 48):
        with host_with_a_release() as (host, engine):
            attempt(engine, {call: fault}, lambda host=host: deploy(host, request(host), NEW))  # type: ignore[misc]
            begun = host.state.begun(STACK)
            died += begun is not None
            receipt = tending(host)
            assert (receipt is None) == (begun is None)
            at_rest(host, engine)
            state = host.state.state(STACK)
            assert state.bad == (), "being killed says nothing against a release"
            live.add(state.live)
    assert live == {1, 2}
    assert died > 30


@pytest.mark.parametrize("fault", [REFUSED, LOST])
@pytest.mark.parametrize("call", range(17, 31))
def test_an_undoing_that_fails_as_well_is_done_by_tending(call: int, fault: str) -> None:
    for second in range(call + 1, call + 5):
        with host_with_a_release() as (host, engine):
            attempt(engine, {call: fault, second: REFUSED}, lambda host=host: deploy(host, request(host), NEW))  # type: ignore[misc]
            tending(host)
            tidy(host)
            at_rest(host, engine)


@pytest.mark.parametrize("call", range(1, 28))
def test_a_disk_that_is_full_from_some_call_on_does_not_keep_traffic_from_the_old_release(call: int) -> None:
    with host_with_a_release() as (host, engine):
        before = set(OF_STATE)
        engine.faults = Faults()
        counted = {"calls": 0}

        def full(name: str) -> Callable[..., Any]:
            method = getattr(type(host.state), name)

            def call_it(*given: Any, **named: Any) -> Any:
                counted["calls"] += 1
                if counted["calls"] >= call and name != "ended":
                    raise OpsError("no space left on device")
                return method(host.state, *given, **named)

            return call_it

        with pytest.MonkeyPatch.context() as patch:
            for name in before:
                patch.setattr(host.state, name, full(name))
            with suppress(OpsError):
                deploy(host, request(host), NEW)
            live = host.state.state(STACK).live
            assert served(host) == (OLD if live == 1 else NEW)
        for _ in range(2):
            tending(host)
        at_rest(host, engine)


def tidy(host: Host) -> None:
    """What could not be removed while tidying up is told as a warning, and is left to the next run."""
    state = host.state.state(STACK)
    engine = cast(SimulatedEngine, host.engine)
    for name, one in list(engine.found.items()):
        if one.stack == STACK and one.number not in (state.live, state.standby):
            engine.stop(name)
            engine.remove(name)
