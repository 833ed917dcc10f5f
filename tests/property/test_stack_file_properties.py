"""Whatever stands in a stack file, it is read or refused in words: no other exception, and everything at once."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.module_utils.gateway.stack_file import read_text
from plugins.module_utils.model.document import Node
from plugins.module_utils.model.environment import ENVIRONMENT_KEYS, parse_environment
from plugins.module_utils.model.errors import InvalidInput, OpsError
from plugins.module_utils.model.stack import Stack, parse_stack, parse_tree
from plugins.module_utils.model.stack_keys import STACK_KEYS
from plugins.module_utils.model.vocabulary import Keys

WORDS = st.sampled_from(
    [
        "1",
        "1m",
        "1.5g",
        "-1",
        "0",
        "0444",
        ":",
        "/",
        "/a",
        "a:/b",
        "/a:/b:ro",
        "[::1]:1:1",
        "1-2:3-4",
        "80/udp",
        "a=b",
        "=",
        "NONE",
        "CMD",
        "no",
        "x-",
        "${",
        "''",
        "on-failure:2",
    ]
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-2, 70_000) | st.integers() | st.floats() | WORDS | st.text(max_size=5)
)


def values(keys: Keys | None) -> st.SearchStrategy[Any]:
    """Anything at all, in which the accepted keys turn up often enough to be reached."""
    known = st.sampled_from(sorted(keys or {"a": 0}))
    names = known | st.sampled_from(["x-note", "x-op", "web", "db", "data"]) | st.text(max_size=3) | st.integers(0, 3)
    return st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=6
    )


def mapping(keys: Keys) -> st.SearchStrategy[dict[Any, Any]]:
    """A mapping of accepted keys, each with values of its own kind or any other."""
    kinds = {
        key.name: (st.dictionaries(st.sampled_from(["web", "db"]), mapping(key.keys), max_size=2) if key.named
                   else mapping(key.keys) | st.lists(mapping(key.keys), max_size=2)) | values(key.keys)
        if key.keys else values(None)
        for key in keys.values()
    }  # fmt: skip
    return st.fixed_dictionaries({}, optional=kinds)


FILES = mapping(STACK_KEYS)


def _read(tree: Any) -> Stack | InvalidInput:
    try:
        return parse_tree(tree, "stack.yml")
    except InvalidInput as error:
        return error


@settings(max_examples=300)
@given(FILES | values(STACK_KEYS))
def test_a_file_is_read_or_refused_in_words(tree: Any) -> None:
    before = copy.deepcopy(tree)
    found = _read(tree)
    assert repr(tree) == repr(before), "reading changes nothing"
    if isinstance(found, InvalidInput):
        assert all(fault.what and fault.where.startswith("stack.yml") for fault in found.errors)
    else:
        assert all(service.image and service.healthcheck for service in found.services.values())


MARKS = st.sampled_from(
    [*list("?:{}[]&*!|>#'\"<%~-\n a1\x00"), "name: shop\n", "services:\n", " !!int ", " &a ", " *a ", "<<: "]
)


@given(st.lists(MARKS, max_size=12).map("".join) | st.text(max_size=20))
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    with suppress(OpsError):
        parse_stack(read_text(text, "stack.yml"))


@settings(max_examples=150)
@given(st.data())
def test_one_service_is_read_or_refused_in_words(data: st.DataObject) -> None:
    services = STACK_KEYS["services"].keys
    assert services
    name = data.draw(st.sampled_from(sorted(services)))
    key = services[name]
    value = data.draw(mapping(key.keys) | values(key.keys) if key.keys else values(None))
    sound = {"image": "r/web:1", "healthcheck": {"test": "go"}}
    found = _read({"name": "shop", "services": {"web": {**sound, name: value}}})
    if not isinstance(found, InvalidInput):
        assert found.services["web"].security_opt, "nothing loosens without a word"


@settings(max_examples=100)
@given(mapping(ENVIRONMENT_KEYS) | values(ENVIRONMENT_KEYS))
def test_an_environment_is_read_or_refused_in_words(tree: Any) -> None:
    with suppress(InvalidInput):
        assert parse_environment(Node(tree, "ops_environment")).name
