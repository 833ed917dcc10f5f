"""What cannot be undone stops nobody but itself, and is told once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from plugins.module_utils.converge import converge
from plugins.module_utils.gateway.edge import EdgeApi
from plugins.module_utils.hands import Host
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.release import Release
from plugins.module_utils.tend import tend
from plugins.module_utils.transaction import SWITCH, Transaction
from tests.property.test_fault_properties import LoopbackHost, bare_host, wish


def cut_off_in_the_switch(host: Host) -> None:
    host.state.add_record(replace(host.state.record("shop", 1), number=2, release="sha-2222222"))
    begun = Transaction(host, host.state.record("shop", 2), action="deploy").begun
    host.state.begin(begun)
    host.state.journal("shop", {"transaction": begun.id, "step": SWITCH, "event": "begin"})


def test_a_stack_that_cannot_be_put_right_keeps_no_other_from_being_converged_and_is_by_what_that_mends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answering(host: Host) -> EdgeApi:
        if "edge-traefik" not in host.engine.containers():
            raise OpsError("the edge does not answer")
        return edge_api(host)

    with bare_host() as (host, engine):
        converge(host, wish())
        edge_api = LoopbackHost.edge_api
        monkeypatch.setattr(LoopbackHost, "edge_api", answering)
        cut_off_in_the_switch(host)
        del engine.found["edge-traefik"], engine.found["tools-a"]

        without_the_edge = replace(wish(), entries=wish().entries[1:])
        result = converge(host, without_the_edge)
        assert engine.found["tools-a"].running, "the other stack is none of its business"
        assert "undoing it failed as well: the edge does not answer" in result["msg"]
        assert result["error"]["do"].endswith("run converge.yml: it mends the edge")
        assert [event["outcome"] for event in host.state.history("shop")] == ["done", "stuck"]

        result = converge(host, wish())
        assert "error" not in result, result["msg"]
        assert result["display"][0] == "shop: the deploy of sha-2222222 had been cut off; it was undone"
        assert [event["outcome"] for event in host.state.history("shop")] == ["done", "stuck", "undone"]
        assert host.state.begun("shop") is None


def test_a_stuck_undoing_is_told_once_to_history_and_its_final_end_alone_to_the_ledger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with bare_host() as (host, _):
        converge(host, wish())
        spooled: list[str] = []

        def tell_end(release: Release, event: Mapping[str, Any]) -> list[str]:
            spooled.append(event["outcome"])
            host.state.tell(release.stack, event)
            return []

        host.tell_end = tell_end
        cut_off_in_the_switch(host)
        journal = host.state.root / "stacks" / "shop" / "journal.jsonl"
        with monkeypatch.context() as patch:
            patch.setattr(LoopbackHost, "edge_address", _no_edge)
            for _ in range(3):
                with pytest.raises(OpsError, match="undoing it failed as well"):
                    tend(host, "shop")
                told = journal.read_text().count('"event": "stuck"')
                assert (told, [event["outcome"] for event in host.state.history("shop")]) == (1, ["done", "stuck"])
        assert spooled == []
        tend(host, "shop")
        assert spooled == ["undone"]


def _no_edge(_: Host) -> str:
    raise OpsError("the edge is gone")
