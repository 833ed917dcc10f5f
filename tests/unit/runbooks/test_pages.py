"""Pages and playbooks in a small repository of their own: the outline and the generated parts."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.model.errors import OpsError
from plugins.plugin_utils.playbook_outline import read_outline
from plugins.plugin_utils.runbook_page import load_runbook, render_index, render_page

PAGE = """---
title: Mend it
title_zh: 修复
purpose: It works again.
when: It is broken.
inputs:
  thing: {type: text, required: true, help: what | is broken, example: edge}
  hard: {type: boolean, default: false, help: with force}
  mode: {type: choice, choices: [a, b], default: a, help: which way}
scope: one_environment
changes: the thing
risk: low, it was broken before
lock: none
undo: Break it again.
expected: 90s
---
# Mend it

<!-- request -->
old text
<!-- /request -->

Prose stays.

<!-- steps -->
<!-- /steps -->

The end.
"""
PLAYBOOK = """
- name: Mend the thing
  hosts: stack_hosts
  pre_tasks:
    - name: Look first
      ansible.builtin.command: look
  roles:
    - role: seisei.ops.tool
  tasks:
    - name: Mend
      block:
        - name: Hit it
          ansible.builtin.command: hit
      rescue:
        - name: Put it down
          ansible.builtin.command: down
      always:
        - name: Wash hands
          ansible.builtin.command: wash
    - ansible.builtin.meta: flush_handlers
    - name: Include by hand
      ansible.builtin.include_role:
        name: seisei.ops.tool
        tasks_from: put_away
    - name: Do what the host needs
      ansible.builtin.include_tasks: "{{ kind }}.yml"
- name: Tell
  hosts: localhost
  tasks:
    - name: Say that it is done
      ansible.builtin.debug:
  handlers:
    - name: Ring the bell
      ansible.builtin.debug:
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    files = {
        "runbooks/mend.md": PAGE,
        "runbooks/README.md": "# Index\n<!-- index -->\n<!-- /index -->\n",
        "playbooks/mend.yml": PLAYBOOK,
        "roles/tool/tasks/main.yml": "- ansible.builtin.import_tasks: fetch.yml\n",
        "roles/tool/tasks/fetch.yml": "- name: Fetch the tool\n  ansible.builtin.command: fetch\n",
        "roles/tool/tasks/put_away.yml": "- name: Put the tool away\n  ansible.builtin.command: away\n",
        "roles/tool/handlers/main.yml": "- name: Oil the tool\n  ansible.builtin.command: oil\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def test_a_playbook_is_told_in_the_order_it_runs(repository: Path) -> None:
    mend, tell = read_outline(repository / "playbooks" / "mend.yml", repository)
    assert mend.steps == (
        "Look first",
        "Fetch the tool",
        "Hit it",
        "If a step fails: Put it down",
        "In any case: Wash hands",
        "Put the tool away",
        "Do what the host needs",
    )
    assert mend.afterwards == ("Oil the tool",)
    assert (tell.hosts, tell.afterwards) == ("localhost", ("Ring the bell",))


def test_a_rendered_page_has_the_command_the_inputs_and_the_steps_and_keeps_its_prose(repository: Path) -> None:
    page = render_page("mend", repository)
    assert "ansible-playbook playbooks/mend.yml --limit staging -e thing=edge\n" in page
    assert "| `thing` | what \\| is broken | text, such as `edge`; required |" in page
    assert "| `hard` | with force | boolean; `false` if left out |" in page
    assert "| `mode` | which way | `a` \\| `b`; `a` if left out |" in page
    assert "- **Takes:** about 1m30s." in page
    assert "2. Fetch the tool" in page
    assert "old text" not in page
    assert "Prose stays." in page
    assert page.endswith("The end.\n")


def test_an_example_names_the_environment_that_its_page_says(repository: Path) -> None:
    page = repository / "runbooks" / "mend.md"
    text = page.read_text(encoding="utf-8").replace("lock: none", "lock: none\nexample_on: production")
    page.write_text(text, encoding="utf-8")
    assert "playbooks/mend.yml --limit production -e thing=edge\n" in render_page("mend", repository)
    page.write_text(text.replace("one_environment", "one_host"), encoding="utf-8")
    assert "playbooks/mend.yml --limit production-1 -e thing=edge\n" in render_page("mend", repository)


def test_rendering_twice_changes_nothing(repository: Path) -> None:
    page = repository / "runbooks" / "mend.md"
    page.write_text(render_page("mend", repository), encoding="utf-8")
    assert render_page("mend", repository) == page.read_text(encoding="utf-8")


def test_the_index_lists_every_page(repository: Path) -> None:
    assert "| [Mend it](mend.md)<br>修复 | It is broken. | the thing | low | 1m30s |" in render_index(repository)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("runbooks/mend.md", "<!-- /steps -->", "", "once each"),
        ("runbooks/mend.md", "---\ntitle", "title", "no front matter"),
        ("runbooks/mend.md", "lock: none", "lock: nobody", "mend.md:13 lock"),
        ("playbooks/mend.yml", "    - name: Look first\n      ", "    - ", "a task has no name"),
        ("playbooks/mend.yml", "seisei.ops.tool\n  tasks:", "seisei.ops.tol\n  tasks:", "roles/tol/tasks/main.yml"),
    ],
)
def test_what_is_wrong_with_a_page_is_told_with_its_place(
    repository: Path, file: str, old: str, new: str, said: str
) -> None:
    path = repository / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(OpsError) as caught:
        render_page("mend", repository)
    assert said in str(caught.value)


def test_a_runbook_that_is_not_there_is_refused_with_the_nearest_one(repository: Path) -> None:
    with pytest.raises(OpsError, match="did you mean 'mend'"):
        load_runbook("mnd", repository)
