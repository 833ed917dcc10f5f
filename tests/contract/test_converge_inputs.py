"""What a convergence can be told is the same wherever it is told: page, role, and both halves of the module."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.plugin_utils.runbook_page import load_runbook

INPUTS = ("mode", "save_plan", "apply_plan")
ROLE = "roles/stacks"
MODULE = "plugins/modules/stacks.py"

Spec = dict[str, Any]


def documented(root: Path) -> Spec:
    text = (root / MODULE).read_text(encoding="utf-8")
    options: Spec = yaml.safe_load(text.split('DOCUMENTATION = r"""')[1].split('"""')[0])["options"]
    return options


def accepted(root: Path) -> Spec:
    """The specification that the module gives to Ansible."""
    tree = ast.parse((root / MODULE).read_text(encoding="utf-8"))
    given = [word.value for word in ast.walk(tree) if isinstance(word, ast.keyword) and word.arg == "argument_spec"]
    (spec,) = map(ast.literal_eval, given)
    return dict(spec)


def of_role(root: Path) -> Spec:
    """The role's options, without its prefix, each with its default."""
    options = yaml.safe_load((root / ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((root / ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
    return {
        name.removeprefix("stacks_"): {**option, "default": defaults[name]}
        for name, option in options["argument_specs"]["main"]["options"].items()
        if name.startswith("stacks_")
    }


def of_page() -> Spec:
    inputs = load_runbook("converge").inputs
    return {name: {"choices": list(one.choices), "default": one.default} for name, one in inputs.items()}


def told(root: Path) -> dict[str, Spec]:
    """All places, by the name that a failure shows."""
    return {"page": of_page(), "role": of_role(root), "documentation": documented(root), "module": accepted(root)}


def test_page_and_role_take_the_same_inputs(root: Path) -> None:
    assert set(of_page()) == set(of_role(root)) == set(INPUTS)


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.parametrize(("key", "nothing"), [("choices", []), ("default", "")])
def test_an_input_is_told_alike_everywhere(root: Path, name: str, key: str, nothing: Any) -> None:
    found = {place: spec[name].get(key) or nothing for place, spec in told(root).items()}
    assert found == dict.fromkeys(found, found["page"])


def test_a_mode_has_choices_and_a_default(root: Path) -> None:
    mode = of_page()["mode"]
    assert mode["default"] in mode["choices"]


def test_the_module_documents_what_it_takes(root: Path) -> None:
    # The stack files' own keys are documented by a fragment.
    assert set(documented(root)) == set(accepted(root)) - {"stacks"}
