"""Who asked for a release, and what let it through, is told of it: however it ended, and whoever ended it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from plugins.module_utils.release import deploy
from plugins.module_utils.tend import tend
from tests.property.release_parts import NEW, STACK, host_with_a_release, request, simulated_edge
from tests.property.simulated_engine import KILLED_AFTER, KILLED_BEFORE, Faults, Killed

ALLOWED = {"requester": "hana", "relied_on": ["1" * 32, "2" * 32]}


@pytest.mark.parametrize("fault", [None, KILLED_BEFORE, KILLED_AFTER])
@pytest.mark.parametrize("call", [12, 38])
def test_a_release_names_what_let_it_through(fault: str | None, call: int) -> None:
    with simulated_edge(), host_with_a_release() as (host, engine):
        engine.faults = Faults({call: fault} if fault else {})
        with suppress(Killed):
            deploy(host, replace(request(host), allowed=ALLOWED), NEW)
        engine.faults = Faults()
        assert (host.state.begun(STACK) is not None) == (fault is not None)
        with host.state.locked(STACK, "test"):
            tend(host, STACK)
        first, last = host.state.history(STACK)
        assert {name: last[name] for name in ALLOWED} == ALLOWED
        assert not first.keys() & ALLOWED.keys(), "it was asked by nobody's signature"
