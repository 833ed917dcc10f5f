"""A first release, which converging makes: by the stack file that the host worked out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plugins.module_utils.converge import converge, rehearse
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.statement import definition_of
from tests.property.test_fault_properties import bare_host, shop, wish


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
