"""The front matter of a page, read into a Runbook."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.model.document import Node
from plugins.module_utils.model.errors import InvalidInput
from plugins.module_utils.model.runbook import TYPES, Input, Runbook, Value, parse_runbook

SOUND: dict[str, Any] = {
    "title": "Deploy a release",
    "purpose": "Put a release live.",
    "when": "A release is ready.",
    "inputs": {
        "stack": {"type": "stack", "required": True, "help": "the stack", "example": "odoo18"},
        "steps": {"type": "integer", "default": 1, "least": 1, "help": "how many"},
    },
    "scope": "one_environment",
    "changes": "production traffic",
    "preconditions": ["It was tried."],
    "risk": "medium, things happen",
    "lock": "stack",
    "undo": "roll_back",
    "expected": "1m30s",
}


def parse(**changed: Any) -> Runbook:
    return parse_runbook("deploy", Node({**SOUND, **changed}, "deploy.md"))


def errors(**changed: Any) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        parse(**changed)
    return [str(error) for error in caught.value.errors]


def test_a_sound_page_is_read_whole() -> None:
    book = parse()
    assert (book.risk, book.risk_reason) == ("medium", "things happen")
    assert book.expected == 90
    assert book.undo_runbook == "roll_back"
    assert book.preconditions == ("It was tried.",)
    assert book.inputs["stack"] == Input("stack", "stack", "the stack", required=True, example="odoo18")
    assert book.inputs["steps"].default == 1


def test_an_undo_that_is_a_sentence_names_no_runbook() -> None:
    assert parse(undo="There is nothing to undo.").undo_runbook == ""


@pytest.mark.parametrize("key", ["title", "purpose", "when", "scope", "changes", "risk", "lock", "undo", "expected"])
def test_what_is_missing_is_named(key: str) -> None:
    front = {name: value for name, value in SOUND.items() if name != key}
    with pytest.raises(InvalidInput, match=f"'{key}' is missing"):
        parse_runbook("deploy", Node(front, "deploy.md"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"risk": "medium"}, "expected a level and a reason"),
        ({"risk": "huge, it is"}, "levels: low, medium, high"),
        ({"scope": "one_hosts"}, "did you mean 'one_host'?"),
        ({"lock": "estate"}, "'estate' is not one of stack, host, none"),
        ({"expected": "soon"}, "'soon' is not a duration"),
        ({"scope": "any", "example_on": "production"}, "only a runbook that works on one environment or host"),
        ({"owner": "me"}, "'owner' is not accepted here"),
        ({"inputs": {"stack": {"type": "stack"}}}, "'help' is missing"),
        ({"inputs": {"Stack": {"type": "stack", "help": "x"}}}, "not a name for an input"),
        ({"inputs": {"kind": {"type": "choice", "help": "x"}}}, "'choices' and 'type: choice' belong together"),
        ({"inputs": {"n": {"type": "integer", "help": "x", "default": "one"}}}, "expected a whole number"),
        (
            {"inputs": {"n": {"type": "integer", "help": "x", "default": 1, "required": True}}},
            "an input that is required has no default",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(changed: dict[str, Any], said: str) -> None:
    assert any(said in error for error in errors(**changed)), errors(**changed)


def test_everything_wrong_is_told_at_once() -> None:
    assert len(errors(risk="huge", lock="estate", expected="soon")) == 3


def read(kind: str, value: Any) -> tuple[Value, list[str]]:
    node = Node(value, "-e")
    choices = ("table", "json") if kind == "choice" else ()
    return Input("x", kind, choices=choices).read(node), [error.what for error in node.errors]


@pytest.mark.parametrize(
    ("kind", "given", "typed"),
    [
        ("stack", "odoo18", "odoo18"),
        ("release", "sha-19b9b98", "sha-19b9b98"),
        ("release", "sha-" + "a" * 40, "sha-" + "a" * 40),
        ("text", "a reason with spaces", "a reason with spaces"),
        ("integer", "3", 3),
        ("integer", 3, 3),
        ("boolean", "true", True),
        ("boolean", "No", False),
        ("boolean", False, False),
        ("choice", "json", "json"),
        ("duration", "1m30s", 90.0),
        ("database", "acme-2", "acme-2"),
        ("time", "2026-02-01T09:30+09:00", "2026-02-01T00:30:00+00:00"),
        ("time", "2026-02-01T00:30Z", "2026-02-01T00:30:00+00:00"),
        ("text", None, None),
    ],
)
def test_a_value_is_typed(kind: str, given: Any, typed: Value) -> None:
    assert read(kind, given) == (typed, [])


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("stack", "../etc"),
        ("release", "19b9b98"),
        ("release", "sha-19b9b9"),
        ("release", "sha-19B9B98"),
        ("release", "sha-" + "a" * 41),
        ("integer", "1.5"),
        ("boolean", "maybe"),
        ("choice", "xml"),
        ("duration", "1 minute"),
        ("database", "acme; drop table"),
        ("time", "yesterday"),
        ("time", "2026-02-01T09:30"),
        ("text", {"a": "mapping"}),
    ],
)
def test_a_value_of_another_form_is_refused_once(kind: str, given: Any) -> None:
    assert len(read(kind, given)[1]) == 1


def test_every_type_has_a_case_above() -> None:
    """So that a new type does not come without its truth table."""
    marks = test_a_value_is_typed.pytestmark
    assert {case[0] for case in marks[0].args[1]} == set(TYPES)
