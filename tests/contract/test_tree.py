"""What stands where: each rule holds here, and is seen to fail on a small tree that breaks it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.contract import tree
from tests.contract.machine import package_hosts
from tests.contract.tree import lines


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """An empty repository; `plant` fills it."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path


def plant(root: Path, file: str, text: str) -> None:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    subprocess.run(["git", "-C", root, "add", file], check=True)


def test_no_python_file_is_two_rooms(root: Path) -> None:
    assert lines(tree.long_files(tree.tracked_files(root))) == ""


def test_a_long_file_is_seen(small: Path) -> None:
    plant(small, "a.py", "x = 1\n" * tree.LONGEST)
    plant(small, "b.py", "x = 1\n" * (tree.LONGEST - 1))
    assert tree.long_files(tree.tracked_files(small)) == ["a.py has 400 lines, and 400 are the most"]


def test_no_file_names_this_machine_or_its_mirrors(root: Path) -> None:
    assert lines(tree.machine_words(root, tree.tracked_files(root), package_hosts())) == ""


def test_the_machine_does_get_packages_from_somewhere() -> None:
    assert len(package_hosts()) >= 2


def test_a_mirror_and_a_path_are_seen(small: Path) -> None:
    host = "packages.mirror.example"
    plant(small, "a.yml", f"fine: other.mirror.example\nurl: http://{host}/simple\n")
    plant(small, "b.txt", f"see {small}/b.txt\n")
    plant(small, "c.md", "in /Users" + "/someone/ops\n")
    found = tree.machine_words(small, tree.tracked_files(small), [host])
    assert [entry.split(" ")[0] for entry in found] == ["a.yml:2", "b.txt:1", "c.md:1"]


def test_every_role_is_specified_and_has_a_scenario(root: Path) -> None:
    assert tree.roles(root), "no roles at all"
    assert lines(tree.incomplete_roles(root)) == ""


def test_an_incomplete_role_is_seen(small: Path) -> None:
    plant(small, "roles/edge/tasks/main.yml", "[]\n")
    plant(small, "roles/host/meta/argument_specs.yml", "{}\n")
    plant(small, "molecule/host/molecule.yml", "{}\n")
    assert len(tree.incomplete_roles(small)) == 2
    assert all("roles/edge" in entry for entry in tree.incomplete_roles(small))


def test_roles_do_not_call_roles(root: Path) -> None:
    assert lines(tree.roles_calling_roles(root)) == ""


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("tasks/main.yml", "- name: A\n  ansible.builtin.include_role:\n    name: b\n"),
        ("tasks/main.yml", "- name: A\n  block:\n    - name: B\n      import_role:\n        name: b\n"),
        ("handlers/main.yml", "- name: A\n  ansible.builtin.import_role:\n    name: b\n"),
        ("meta/main.yml", "dependencies:\n  - role: b\n"),
    ],
)
def test_a_role_that_calls_a_role_is_seen(small: Path, file: str, text: str) -> None:
    plant(small, f"roles/a/{file}", text)
    assert len(tree.roles_calling_roles(small)) == 1


def test_tasks_hide_nothing(root: Path) -> None:
    assert lines(tree.evasions(root)) == ""


@pytest.mark.parametrize("word", ["ignore_errors: true", "changed_when: false", "failed_when: false"])
def test_a_task_that_hides_is_seen(small: Path, word: str) -> None:
    plant(small, "playbooks/a.yml", f"- name: A\n  hosts: all\n  tasks:\n    - ansible.builtin.ping:\n      {word}\n")
    assert tree.evasions(small) == [f"playbooks/a.yml uses {word.split(':')[0]}"]


def test_state_in_facts_is_seen_and_honest_conditions_are_not(small: Path) -> None:
    plant(small, "roles/a/tasks/main.yml", "- name: A\n  ansible.builtin.set_fact:\n    x: !vault abc\n")
    plant(small, "roles/b/tasks/main.yml", "- name: B\n  ansible.builtin.raw: x\n  changed_when: x.rc == 0\n")
    assert tree.evasions(small) == ["roles/a/tasks/main.yml uses ansible.builtin.set_fact"]


def test_workflows_read_and_are_pinned(root: Path) -> None:
    assert list((root / ".github" / "workflows").glob("*.yml"))
    assert lines(tree.loose_workflows(root)) == ""


@pytest.mark.parametrize(
    "text",
    [
        "jobs: {a: {steps: [{uses: x/y@v1}]}}\n",
        "permissions: {contents: write}\njobs: {a: {steps: [{uses: x/y@v1}]}}\n",
        "permissions: {contents: read}\njobs: {a: {steps: [{uses: x/y@main}]}}\n",
        "permissions: {contents: read}\njobs: {a: {steps: [{uses: x/y}]}}\n",
    ],
)
def test_a_loose_workflow_is_seen(small: Path, text: str) -> None:
    plant(small, ".github/workflows/a.yml", text)
    assert len(tree.loose_workflows(small)) == 1
