"""Going back to an earlier release when something is already wrong: that is when somebody wants to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from plugins.module_utils import tend as tending
from plugins.module_utils.gateway.edge import EdgeApi
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.release import deploy, roll_back
from plugins.module_utils.transaction import Transaction
from tests.property.release_parts import NEW, OLD, STACK, EdgeHost, host_with_a_release, request, served, simulated_edge


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


def cannot(host: EdgeHost, stack: str, cause: str = "") -> Any:  # noqa: ARG001
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
