"""Every plugin explains itself to ``ansible-doc``, through the name an operator writes."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.model.stack_keys import STACK_KEYS
from plugins.module_utils.model.vocabulary import Keys

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE_DOC = Path(sys.executable).with_name("ansible-doc")
# Folder of plugins -> type of ansible-doc. An action plugin is documented by the module whose name it has.
TYPES = {
    "modules": "module",
    "callback": "callback",
    "lookup": "lookup",
    "filter": "filter",
    "test": "test",
    "inventory": "inventory",
    "connection": "connection",
}


def _stems(folder: str) -> list[str]:
    return sorted(file.stem for file in (ROOT / "plugins" / folder).glob("*.py"))


def _plugins() -> list[tuple[str, str]]:
    return [(kind, name) for folder, kind in TYPES.items() for name in _stems(folder)]


@cache
def _documented(kind: str) -> dict[str, Any]:
    folder = next(folder for folder, known in TYPES.items() if known == kind)
    names = [f"seisei.ops.{name}" for name in _stems(folder)]
    done = subprocess.run(
        [ANSIBLE_DOC, "-t", kind, "-j", *names], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Building documentation" not in done.stderr, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize(("kind", "name"), _plugins())
def test_a_plugin_explains_itself(kind: str, name: str) -> None:
    entry = _documented(kind).get(f"seisei.ops.{name}")
    assert entry, f"ansible-doc -t {kind} seisei.ops.{name} says nothing"
    assert entry["doc"]["short_description"]
    if kind in ("module", "lookup", "filter", "test"):
        assert entry["examples"], "no EXAMPLES"
        assert entry["return"], "no RETURN"


def test_every_decision_is_listed() -> None:
    listed = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in (ROOT / "docs" / "adr").glob("*.md") if f"(adr/{path.name})" not in listed] == []


def test_the_keys_of_a_stack_file_are_documented_as_they_are_read() -> None:
    stacks = _documented("module")["seisei.ops.stacks"]["doc"]["options"]["stacks"]

    def told(option: dict[str, Any]) -> dict[str, Any]:
        return {name: told(below) for name, below in option.get("suboptions", {}).items()}

    def read(keys: Keys) -> dict[str, Any]:
        return {key.name: read(key.keys) if key.keys else {} for key in keys.values()}

    assert told(stacks["suboptions"]["tree"]) == read(STACK_KEYS)


def test_every_action_has_the_module_that_documents_it() -> None:
    assert set(_stems("action")) <= set(_stems("modules"))


def test_a_plugin_nobody_wrote_is_not_documented() -> None:
    done = subprocess.run(
        [ANSIBLE_DOC, "-j", "seisei.ops.nobody"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert json.loads(done.stdout or "{}") == {}
