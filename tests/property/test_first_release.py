"""A first release, which converging makes: by the stack file that the host worked out, and on a bare host alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plugins.module_utils import converge as converging
from plugins.module_utils.converge import Wish, converge, rehearse
from plugins.module_utils.gateway.host_gate import HostGate
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.gate import Gate
from plugins.module_utils.model.statement import definition_of
from tests.property.estate_parts import SHA
from tests.property.test_fault_properties import bare_host, entry, shop, wish


def test_a_first_release_is_of_the_stack_file_that_came_along() -> None:
    asked = wish()
    entries = [{**one, "stack_file": "d" * 64} for one in asked.entries]
    with bare_host() as (host, _):
        converge(host, replace(asked, entries=entries))
        assert host.state.record("shop", 1).stack_file == "", "what it said of itself was taken for true"
    source = shop()
    true = {"file": {"source": source, "variables": {}}, "stack_file": definition_of(source)}
    named = [one | (true if one["name"] == "shop" else {}) for one in entries]
    with bare_host() as (host, _):
        converge(host, replace(asked, entries=named))
        assert host.state.record("shop", 1).stack_file == definition_of(source)
    lying = [one | ({"stack_file": "d" * 64} if one["name"] == "shop" else {}) for one in named]
    with bare_host() as (host, _), pytest.raises(OpsError, match="it says that it is of stack file dddddddddddd"):
        rehearse(host, replace(asked, entries=lying))


def other(name: str) -> dict[str, Any]:
    """A stack with a release of its own."""
    return entry({**shop(), "name": name})


def test_what_comes_to_a_gated_host_later_passes_the_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = wish()
    with bare_host() as (host, _):
        for required in (True, False):
            gate = HostGate("production", Gate(required=required, verified_in="staging"))
            monkeypatch.setattr(converging, "read_gate", lambda gate=gate: gate)
            result = converge(host, asked)
            assert host.state.state("shop").live == 1, "a bare host has nobody who could be harmed"
            later = Wish([*asked.entries, other("evil")], {**asked.secrets, "evil": {"KEY": "x"}})
            result = rehearse(host, later)
            firsts = [step for step in result["steps"] if step["action"] == "release"]
            assert [step["stack"] for step in firsts] == ([] if required else ["evil"])
            command = f"with deploy.yml -e stack=evil -e release={SHA}"
            assert (f"evil has no release yet: its first one passes the gate, {command}" in result["notes"]) is required
