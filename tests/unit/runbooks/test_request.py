"""A request against its runbook: inputs, scope, what is printed before anything happens."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.model.errors import InvalidInput
from plugins.module_utils.model.runbook import Input, Runbook
from plugins.module_utils.plan.runbook import Request, command, duration, header, read_request, way_back

STACKS = ("biznexus", "langbot", "ocr", "odoo18", "www")
ONE = {"staging-1": "staging"}
BOTH = {"staging-1": "staging", "production-1": "production"}


def book(scope: str = "one_environment", **changed: Any) -> Runbook:
    inputs = {
        "stack": Input("stack", "stack", "the stack", required=True, example="odoo18"),
        "release": Input("release", "release", "the release", required=True, example="sha-19b9b98"),
        "steps": Input("steps", "integer", "how many", default=1, least=1),
        "reason": Input("reason", "text", "why"),
    }
    values: dict[str, Any] = {
        "name": "deploy",
        "title": "Deploy a release",
        "title_zh": "发布一个版本",
        "purpose": "p",
        "when": "w",
        "scope": scope,
        "changes": "traffic",
        "risk": "low",
        "risk_reason": "it is tried",
        "lock": "stack",
        "undo": "roll_back",
        "expected": 60.0,
        "inputs": inputs,
        "preconditions": ("It was tried.",),
    }
    return Runbook(**{**values, **changed})


def refused(given_inputs: dict[str, Any], hosts: dict[str, str] | None = None, **of_book: Any) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        read_request(book(**of_book), given_inputs, STACKS, ONE if hosts is None else hosts)
    return [str(error) for error in caught.value.errors]


SOUND = {"stack": "odoo18", "release": "sha-19b9b98"}


def test_inputs_come_back_typed_with_defaults_and_absent_ones_as_none() -> None:
    request = read_request(book(), {**SOUND, "steps": "2"}, STACKS, ONE)
    assert request.inputs == {"stack": "odoo18", "release": "sha-19b9b98", "steps": 2, "reason": None}
    assert read_request(book(), SOUND, STACKS, ONE).inputs["steps"] == 1
    assert request.environment == "staging"


def test_a_stack_that_does_not_exist_is_refused_with_the_nearest_one() -> None:
    [error] = refused({**SOUND, "stack": "odo18"})
    assert "stack 'odo18' does not exist" in error
    assert "did you mean 'odoo18'?" in error


def test_a_malformed_stack_is_told_once_not_also_as_missing() -> None:
    assert len(refused({**SOUND, "stack": "Odoo 18"})) == 1


def test_a_malformed_release_says_the_form() -> None:
    [error] = refused({**SOUND, "release": "19b9b98"})
    assert error == (
        "-e release: '19b9b98' is not a release. Next: give its tag, such as sha-19b9b98: sha- and 7 to 40 hex digits"
    )


@pytest.mark.parametrize("nothing", [{}, {"release": ""}, {"release": None}])
def test_a_required_input_that_is_missing_says_what_to_add(nothing: dict[str, Any]) -> None:
    said = refused({"stack": "odoo18", **nothing})
    assert any("add -e release=sha-19b9b98" in error for error in said)


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    [error] = refused({**SOUND, "relaese": "sha-19b9b98"})
    assert "'relaese' is not an input of deploy" in error
    assert "did you mean 'release'?" in error


def test_a_text_that_was_cut_at_its_blanks_says_how_to_quote_it() -> None:
    [error] = refused({**SOUND, "reason": "invoice", "_raw_params": "fix now"})
    assert "'fix now' belongs to no input" in error
    assert """-e 'reason="two words"'""" in error


def test_settings_of_the_connection_are_none_of_our_business() -> None:
    assert read_request(book(), {**SOUND, "ansible_user": "admin"}, STACKS, ONE).inputs["stack"] == "odoo18"


def test_everything_wrong_is_told_at_once() -> None:
    assert len(refused({"stack": "odo18", "release": "x", "stak": "1", "steps": "0"}, BOTH)) == 5


@pytest.mark.parametrize(
    ("scope", "hosts", "do"),
    [
        ("one_environment", BOTH, "add --limit production or --limit staging"),
        ("one_host", BOTH, "add --limit production-1 or --limit staging-1"),
        ("one_host", {"a": "staging", "b": "staging"}, "add --limit a or --limit b"),
        ("one_environment", {"role-1": ""}, "belongs to none"),
    ],
)
def test_a_run_that_is_too_wide_says_how_to_narrow_it(scope: str, hosts: dict[str, str], do: str) -> None:
    [error] = refused(SOUND, hosts, scope=scope)
    assert do in error


@pytest.mark.parametrize(
    ("scope", "hosts"),
    [
        ("any", BOTH),
        ("any", {"role-1": ""}),
        ("one_host", ONE),
        ("one_environment", {"a": "staging", "b": "staging"}),
    ],
)
def test_a_run_that_fits_its_scope_passes(scope: str, hosts: dict[str, str]) -> None:
    assert read_request(book(scope), SOUND, STACKS, hosts).hosts == tuple(hosts)


def test_a_command_can_be_copied_into_a_shell() -> None:
    line = command(book(), {"stack": "odoo18", "reason": "it's down; rm -rf /"}, limit="staging", inventories=["a b"])
    words = shlex.split(line.replace("<", "").replace(">", ""))
    assert words[:6] == ["ansible-playbook", "playbooks/deploy.yml", "-i", "a b", "--limit", "staging"]
    assert json.loads(words[words.index("stack=odoo18") + 4]) == {"reason": "it's down; rm -rf /"}
    assert "release=sha-19b9b98" in words, "a required input that is not known stands there as its example"
    assert not any(word.startswith("steps=") for word in words), "an optional one is left out"


def test_an_example_with_blanks_can_be_copied_too() -> None:
    wanted = Input("why", "text", required=True, example="two words")
    line = command(replace(book(), inputs={"why": wanted}), {})
    assert json.loads(shlex.split(line)[-1]) == {"why": "two words"}


def test_the_way_back_is_a_command_when_all_of_it_is_known() -> None:
    line = way_back(book(), SOUND, limit="staging")
    assert line == command(book(), SOUND, limit="staging")


def test_the_way_back_is_no_command_with_examples_in_it() -> None:
    line = way_back(book(), {"stack": "odoo18"}, limit="staging")
    assert line == "deploy.yml, which asks for the release (runbooks/deploy.md)"
    assert "ansible-playbook" not in line


def request() -> Request:
    return read_request(book(), SOUND, STACKS, ONE)


def test_the_header_says_what_where_how_risky_and_the_way_back() -> None:
    text = "\n".join(header(request(), undo="ansible-playbook playbooks/roll_back.yml", rehearsal=False))
    for said in ("发布一个版本", "staging (staging-1)", "sha-19b9b98", "low, it is tried", "roll_back.yml", "about 1m"):
        assert said in text
    assert "reason" not in text, "an input that was left out is not shown"
    assert "Rehearsal" not in text


def test_a_rehearsal_says_so_and_lists_what_must_hold() -> None:
    lines = header(request(), undo="x", rehearsal=True)
    assert "Rehearsal (--check): nothing is changed." in lines
    assert "  - It was tried." in lines


@pytest.mark.parametrize(("seconds", "text"), [(0, "0s"), (10, "10s"), (60, "1m"), (90, "1m30s"), (7200, "2h")])
def test_durations_read_as_they_are_written(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.dictionaries(st.text(min_size=1), st.one_of(st.none(), st.text(), st.integers(), st.lists(st.text()))))
def test_no_input_whatever_raises_anything_but_our_own_error(given_inputs: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        read_request(book(), {**given_inputs, "stack": "Odoo"}, STACKS, ONE)
