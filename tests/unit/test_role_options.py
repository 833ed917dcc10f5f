"""What a role can be told is said once: defaults have a value and no description, specs a description and no value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if (path / "defaults" / "main.yml").is_file())


def load(role: str, part: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "roles" / role / part / "main.yml").read_text()) or {}
    return found


def options(role: str) -> dict[str, Any]:
    specs = yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    return {name: option for entry in specs.values() for name, option in (entry.get("options") or {}).items()}


def test_there_are_roles_with_options() -> None:
    assert {"host", "container_engine"} <= set(ROLES)


@pytest.mark.parametrize("role", ROLES)
def test_every_default_is_an_option_with_a_description(role: str) -> None:
    described = options(role)
    for name in load(role, "defaults"):
        assert name in described, f"{name} has a default and no option in meta/argument_specs.yml"
        assert described[name]["description"]


@pytest.mark.parametrize("role", ROLES)
def test_every_option_is_required_or_has_its_one_default(role: str) -> None:
    defaults = load(role, "defaults")
    for name, option in options(role).items():
        assert "default" not in option, f"{name}: its default stands in defaults/main.yml"
        assert (name in defaults) != bool(option.get("required")), f"{name} is required, or has a default"


@pytest.mark.parametrize("role", ROLES)
def test_the_names_of_a_role_begin_with_the_role(role: str) -> None:
    names = {*load(role, "defaults"), *(load(role, "vars") if (ROOT / "roles" / role / "vars").is_dir() else ())}
    assert all(name.startswith(f"{role}_") for name in names), sorted(names)
