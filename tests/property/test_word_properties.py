"""Names are resolved or refused, and a stack is the same on both ends of the wire."""

from __future__ import annotations

import json
import string
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.module_utils.gateway.edge import render
from plugins.module_utils.gateway.stack_file import read_text
from plugins.module_utils.model.container import canonical, fingerprint
from plugins.module_utils.model.document import Node
from plugins.module_utils.model.errors import InvalidInput, OpsError
from plugins.module_utils.model.interpolation import interpolate
from plugins.module_utils.model.stack import parse_stack, parse_tree, with_release
from plugins.module_utils.plan.containers import wanted_container
from plugins.module_utils.plan.differences import differences
from plugins.module_utils.plan.edge import compile_stack
from plugins.module_utils.plan.settings import settings_wanted
from tests.property.estate_parts import SHOP_TREE, wanted

PLAIN = st.text(string.ascii_letters + string.digits + " .:/-_", max_size=8)
NAMES = st.text(string.ascii_uppercase, min_size=1, max_size=6)
PIECES = st.one_of(PLAIN, NAMES.map(lambda name: f"${{{name}}}"), st.sampled_from(["$", "${", "}", "$X", "${X:-y}"]))


@given(pieces=st.lists(PIECES, max_size=8), variables=st.dictionaries(NAMES, PLAIN))
def test_no_name_is_left_unless_it_was_refused(pieces: list[str], variables: dict[str, str]) -> None:
    node = Node("".join(pieces), "f")
    found = interpolate(node, variables)
    if not node.errors and "$$" not in node.value:
        assert "${" not in found.replace("${RELEASE}", "")


@given(value=PLAIN, text=PLAIN)
def test_a_value_is_never_resolved_again(value: str, text: str) -> None:
    node = Node(f"{text}${{NAME}}", "f")
    assert interpolate(node, {"NAME": "${OTHER}" + value, "OTHER": "x"}) == text + "${OTHER}" + value
    assert not node.errors


TREES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70_000) | st.floats(allow_nan=False) | PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.integers(0, 9), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def stack_files(draw: st.DrawFn) -> dict[str, Any]:
    """The shop with anything at all in the place of some values: accepted or refused, never a traceback."""
    tree = json.loads(json.dumps(SHOP_TREE))
    for _ in range(draw(st.integers(0, 3))):
        at: Any = tree
        while True:
            key = draw(st.sampled_from(sorted(at, key=str) if isinstance(at, dict) else list(range(len(at)))))
            if not at[key] or not isinstance(at[key], (dict, list)) or draw(st.booleans()):
                break
            at = at[key]
        at[key] = draw(TREES)
    return dict(tree)


def _read(tree: Any) -> Any:
    """The stack, or the places it was refused for."""
    try:
        return parse_tree(tree, "stack.yml")
    except InvalidInput as error:
        return str([fault.where for fault in error.errors])


@settings(max_examples=150)
@given(stack_files())
def test_a_stack_reads_the_same_on_the_host_as_on_the_controller(tree: dict[str, Any]) -> None:
    assert _read(tree) == _read(json.loads(json.dumps(tree)))


@settings(max_examples=100)
@given(stack_files())
def test_a_stack_reads_the_same_from_its_own_text(tree: dict[str, Any]) -> None:
    document = read_text(yaml.safe_dump(tree), "stack.yml")
    try:
        again: Any = parse_stack(document)
    except OpsError as error:
        again = error
    first = _read(tree)
    assert isinstance(first, str) == isinstance(again, OpsError)
    if not isinstance(first, str):
        assert (again.services, again.ops) == (first.services, first.ops)


@given(TREES)
def test_canonical_text_is_stable(tree: Any) -> None:
    once = json.loads(json.dumps(tree))
    assert canonical(once) == canonical(json.loads(canonical(once)))
    assert fingerprint(once) == fingerprint(json.loads(json.dumps(once)))


@given(st.text(string.hexdigits.lower()[:16], min_size=7, max_size=40))
def test_a_recorded_stack_makes_the_same_containers_and_routes(sha: str) -> None:
    stack = wanted(SHOP_TREE).stack
    there = parse_tree(json.loads(json.dumps(with_release(stack.tree, f"sha-{sha}"))))
    assert "${" not in canonical(there.tree)
    again = parse_tree(json.loads(json.dumps(there.tree)))
    made = [wanted_container(one, one.services["web"], environment="e", digest="sha256:1") for one in (there, again)]
    settings = [settings_wanted(json.loads(canonical(one.payload)), {}) for one in made]
    assert differences(*settings) == []
    assert made[0].payload == made[1].payload
    texts = [render(compile_stack("shop", one.ops.routes, {"web": "x"}, cert_resolver=None)) for one in (there, again)]
    assert texts[0] == texts[1]
