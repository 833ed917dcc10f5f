"""Playbooks and their pages are two halves of one thing: neither lives without the other, and they agree."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.action import table
from plugins.plugin_utils.runbook_page import ROOT, load_runbook, runbook_names

PLAYBOOKS = tuple(sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml")))
LINK = re.compile(r"\]\((?P<target>[^)#:]+\.md)(?:#[^)]*)?\)")


def first_task(name: str) -> dict[str, Any]:
    plays: list[dict[str, Any]] = yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8"))
    tasks: list[dict[str, Any]] = plays[0].get("pre_tasks") or plays[0]["tasks"]
    return tasks[0]


def test_there_are_playbooks_at_all() -> None:
    assert len(PLAYBOOKS) >= 10


def test_every_playbook_has_its_page_and_every_page_its_playbook() -> None:
    assert runbook_names() == PLAYBOOKS


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_begins_by_checking_the_request_against_its_own_page(name: str) -> None:
    task = first_task(name)
    assert task.get("seisei.ops.runbook") == {"name": name}
    assert task.get("run_once") is True, "one request, checked once"
    assert "when" not in task, "nobody starts without it"


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_playbook_uses_exactly_the_inputs_its_page_declares(name: str) -> None:
    text = (ROOT / "playbooks" / f"{name}.yml").read_text(encoding="utf-8")
    request = first_task(name).get("register", "unregistered")
    assert set(re.findall(rf"\b{request}\.inputs\.(\w+)", text)) == set(load_runbook(name).inputs)


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_what_undoes_a_runbook_is_a_runbook_or_a_sentence(name: str) -> None:
    book = load_runbook(name)
    assert book.undo_runbook in PLAYBOOKS if book.undo_runbook else book.undo.endswith(".")


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_page_speaks_to_the_product_manager_too(name: str) -> None:
    book = load_runbook(name)
    for text in (book.title_zh, book.purpose_zh):
        assert re.search("[\u4e00-\u9fff]", text)


@pytest.mark.parametrize("page", sorted((ROOT / "runbooks").glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for match in LINK.finditer(page.read_text(encoding="utf-8")):
        assert (page.parent / match["target"]).is_file(), match["target"]


@dataclass(frozen=True)
class Typed:
    """A command as the README has it: the playbook, what is said with -e, where, and the key that signs."""

    playbook: str
    inputs: dict[str, str]
    environment: str
    key: str


def typed_in_the_readme() -> list[Typed]:
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    return [typed(line) for line in text.splitlines() if re.match(r"(\w+=\S+ +)?ansible-playbook ", line)]


def typed(line: str) -> Typed:
    words = shlex.split(line, comments=True)
    after = {flag: [word for before, word in pairwise(words) if before == flag]
             for flag in ("-e", "--limit")}  # fmt: skip
    return Typed(
        playbook=next(Path(word).stem for word in words if word.startswith("playbooks/")),
        inputs=dict(pair.split("=", 1) for pair in after["-e"]),
        environment=" ".join(after["--limit"]),
        key=words[0].partition("SEISEI_SIGNING_KEY=")[2],
    )


@pytest.mark.parametrize("command", typed_in_the_readme(), ids=lambda one: f"{one.playbook} {one.environment}")
def test_a_command_of_the_readme_is_one_that_its_runbook_takes(command: Typed) -> None:
    book = load_runbook(command.playbook)
    assert command.inputs.keys() <= book.inputs.keys()
    assert command.inputs.keys() >= {name for name, one in book.inputs.items() if one.required}
    assert command.environment or book.scope == "any"


def test_the_readme_leads_a_release_to_production_and_its_approval_is_somebody_elses() -> None:
    way = [one for one in typed_in_the_readme() if one.environment]
    assert [(one.playbook, one.environment) for one in way] == [
        ("deploy", "staging"), ("accept", "staging"), ("approve", "production"), ("deploy", "production"),
    ]  # fmt: skip
    assert len({one.inputs["stack"] for one in way}) == len({one.inputs.get("release") for one in way} - {None}) == 1
    assert [one.key for one in way] == ["", "", "build/lab/signers/approver", ""]
    assert "approver" in (ROOT / "molecule/lab/labkit/signers.py").read_text(encoding="utf-8")


def test_the_documentation_of_the_table_is_its_specification() -> None:
    text = (ROOT / "plugins" / "modules" / "table.py").read_text(encoding="utf-8")
    documented = yaml.safe_load(text.split('DOCUMENTATION = r"""')[1].split('"""')[0])["options"]
    bare = {
        name: {key: value for key, value in one.items() if key != "description"} for name, one in documented.items()
    }
    assert bare == table.SPEC
