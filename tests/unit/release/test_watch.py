"""A release under watch is taken back by itself, and only as long as it is the one under watch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from plugins.module_utils import tend
from plugins.module_utils.gateway.host_state import now
from plugins.module_utils.model.begun import Watched
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.receipt import DONE
from plugins.module_utils.model.release import StackState
from plugins.module_utils.plan.watch import Counted, Reading
from plugins.module_utils.release import deploy, roll_back
from plugins.module_utils.transaction import Transaction
from plugins.module_utils.watch import Watch
from tests.property.release_parts import (
    NEW,
    OLD,
    STACK,
    EdgeHost,
    SimulatedEdgeApi,
    host_with_a_release,
    request,
    served,
    simulated_edge,
)

_LINE = 'traefik_service_requests_total{{code="{code}",method="GET",protocol="http",service="shop-web@file"}} {count}\n'


class CountingEdgeApi(SimulatedEdgeApi):
    """Counts ten answers at each look, of one status."""

    def __init__(self, files: Any, told: list[int]) -> None:
        super().__init__(files)
        self.told = told

    def metrics(self) -> str:
        if not self.told:
            raise OpsError("the API of the edge does not answer")
        self.told[1] += 10
        return _LINE.format(code=self.told[0], count=self.told[1])


@pytest.fixture(autouse=True, scope="module")
def _edge() -> Iterator[None]:
    with simulated_edge():
        yield


@pytest.fixture
def host() -> Iterator[EdgeHost]:
    """The new release is live and under watch, the old one on standby."""
    with host_with_a_release() as (host, _):
        deploy(host, request(host), NEW)
        yield host


def watch(host: EdgeHost, code: int, most: int = 30) -> tuple[Watch, list[str]]:
    """A watch at which answers have this status; it is over after so many looks."""
    watched = host.state.watched(STACK)
    assert watched
    host.edge_api = lambda: CountingEdgeApi(host.files, counts)  # type: ignore[method-assign]
    counts = [code, 0]
    said: list[str] = []
    looks = iter(range(most))

    def sleep(_: float) -> None:
        if next(looks, None) is None:
            host.state.watch(replace(watched, until=now()))

    return Watch(host, watched, said.append, sleep), said


def test_a_deploy_is_watched_for_what_it_left(host: EdgeHost) -> None:
    watched = host.state.watched(STACK)
    assert watched
    assert (watched.number, watched.previous, watched.environment) == (2, 1, "test")
    assert watched.until > now()


def test_a_release_that_does_well_is_left_alone(host: EdgeHost) -> None:
    watching, said = watch(host, 200)
    watched = watching.watched
    watching.watched = replace(watched, until=now())
    host.state.watch(watching.watched)
    assert watching.run() is None
    assert "did well" in said[-1]
    assert host.state.watched(STACK) is None
    assert served(host) == NEW


def test_a_release_that_does_harm_is_taken_back_and_marked(host: EdgeHost) -> None:
    watching, said = watch(host, 500)
    receipt = watching.run()
    assert receipt
    assert (receipt.outcome, receipt.action) == (DONE, "roll_back")
    assert served(host) == OLD
    assert host.state.state(STACK) == StackState(live=1, standby=2, last=2, bad=(2,))
    assert host.state.watched(STACK) is None, "a rollback is not watched"
    event = host.state.history(STACK)[-1]
    assert (event["by"], event["condemns"]) == ("watch", [2])
    assert "50 of 50 answers within a minute were server errors" in event["why"]
    assert "is taken back: 50 of 50" in said[-1]
    assert said[-1].endswith("(no head of the ledger is known here)"), "an announcement is a witness of the ledger"
    with pytest.raises(OpsError, match=r"was taken back here before \(release 2\): the watch took .* -e again=true"):
        deploy(host, request(host), NEW)
    again, _ = deploy(host, request(host), NEW, again=True)
    assert again
    assert served(host) == NEW
    assert host.state.watched(STACK) is not None


def test_what_a_person_changed_meanwhile_is_not_taken_back(host: EdgeHost) -> None:
    watching, _ = watch(host, 500)
    roll_back(host, request(host))
    assert watching.run() is None
    assert host.state.state(STACK).bad == ()


def test_what_could_not_be_put_right_does_not_stop_the_watch(host: EdgeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(_host: EdgeHost, stack: str, _cause: str = "") -> None:
        raise OpsError("it could not be undone", where=stack)

    host.state.begin(Transaction(host, host.state.record(STACK, 1), action="roll_back").begun)
    monkeypatch.setattr(tend, "tend", cannot)
    watching, said = watch(host, 500)
    assert watching.run()
    assert served(host) == OLD
    assert "not all that the roll_back before left could be put right, and it goes on" in said[-1]


def test_a_watch_waits_for_who_changes_the_stack_and_then_looks_again(host: EdgeHost) -> None:
    watching, _ = watch(host, 500)
    held = host.state.locked(STACK, "deploy by ann")
    held.__enter__()
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) > 4:
            held.__exit__(None, None, None)

    watching.sleep = sleep
    assert watching.run()
    assert len(waited) == 5
    assert served(host) == OLD


def test_an_edge_that_does_not_answer_is_no_judgement(host: EdgeHost) -> None:
    watching, said = watch(host, 500, most=3)
    host.edge_api = lambda: CountingEdgeApi(host.files, [])  # type: ignore[method-assign]
    assert watching.run() is None
    assert "the watch cannot see" in said[0]
    assert served(host) == NEW


def test_a_release_whose_containers_are_gone_is_taken_back(host: EdgeHost) -> None:
    watching, _ = watch(host, 200)
    name = next(name for name, one in host.engine.containers(stack=STACK).items() if one.number == 2)
    host.engine.remove(name)
    watching.readings.append(Reading(time.monotonic() - 31, Counted(), {"of release 2": "gone"}))
    receipt = watching.run()
    assert receipt
    assert served(host) == OLD


def test_no_watch_without_something_to_go_back_to() -> None:
    with host_with_a_release() as (host, _):
        assert host.state.watched(STACK) is None


def test_a_watch_that_cannot_be_read_says_so(host: EdgeHost) -> None:
    path = host.state.root / "stacks" / STACK / "watch.json"
    path.write_text('{"transaction": "x"}')
    with pytest.raises(OpsError, match="what is watched cannot be read"):
        host.state.watched(STACK)
    assert isinstance(host.state.begun(STACK), type(None))
    assert Watched("t", STACK, 2, 1, now()).as_dict()["number"] == 2
