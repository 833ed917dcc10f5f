"""The two action plugins in real runs of ansible-playbook, without a connection to any host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOSTS = """
stack_hosts:
  children:
    staging: {hosts: {staging-1: }}
    production: {hosts: {production-1: }}
  vars:
    # An address nobody answers on: a plugin that needed a connection would fail.
    ansible_host: 127.0.0.1
    ansible_port: 1
"""
# The request is judged before anything of the environment is resolved, so a file that is missing does not matter.
ENVIRONMENT = "ops_environment: {{name: {}, ca: \"{{{{ lookup('ansible.builtin.file', '/nonexistent') }}}}\"}}\n"
CHECK = """
- name: Try
  hosts: stack_hosts
  gather_facts: false
  tasks:
    - name: Check the request
      seisei.ops.runbook:
        name: history
      run_once: true
      register: answer
    - name: Keep the answer
      ansible.builtin.copy:
        content: "{{ answer | to_json }}"
        dest: OUT
        mode: "0600"
      check_mode: false
      delegate_to: localhost
      connection: local
      run_once: true
"""


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    folder = tmp_path / "inventory"
    (folder / "group_vars").mkdir(parents=True)
    (folder / "hosts.yml").write_text(HOSTS, encoding="utf-8")
    for name in ("staging", "production"):
        (folder / "group_vars" / f"{name}.yml").write_text(ENVIRONMENT.format(name), encoding="utf-8")
    return folder


def play(text: str, inventory: Path, *more: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    """Run a playbook; the answer is what it left in the file that stands for OUT."""
    out = inventory.parent / "out.json"
    book = inventory.parent / "book.yml"
    book.write_text(text.replace("OUT", str(out)), encoding="utf-8")
    done = run(book, inventory, *more)
    return done, json.loads(out.read_text(encoding="utf-8")) if out.is_file() else {}


def run(book: Path, inventory: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), str(book), *more],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default", "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_sound_request_is_answered_with_typed_inputs_and_a_header(inventory: Path) -> None:
    done, answer = play(CHECK, inventory, "--limit", "staging", "-e", "last=5", "--check")
    assert done.returncode == 0, done.stdout
    assert answer["inputs"] == {
        "stack": None, "since": None, "until": None, "last": 5, "format": "table", "path": None
    }  # fmt: skip
    assert (answer["environment"], answer["hosts"]) == ("staging", ["staging-1"])
    assert answer["report"]["rehearsal"] is True
    assert any("Rehearsal" in line for line in answer["display"])
    assert not answer["changed"]


def test_a_wrong_request_fails_with_everything_that_is_wrong(inventory: Path) -> None:
    done, answer = play(CHECK, inventory, "-e", "lst=5", "-e", '{"stack": "no-such-stack", "format": "tabel"}')
    assert done.returncode != 0
    assert answer == {}
    for said in ("did you mean 'last'?", "stack 'no-such-stack' does not exist", "did you mean 'table'?"):
        assert said in done.stdout


@pytest.mark.parametrize(
    ("name", "more", "undo"),
    [
        ("accept", [], "withdraw.yml, which asks for the id and the reason (runbooks/withdraw.md)"),
        ("deploy", ["-e", "release=sha-19b9b98"], "ansible-playbook playbooks/roll_back.yml -i "),
    ],
)
def test_the_way_back_is_told_without_examples(inventory: Path, name: str, more: list[str], undo: str) -> None:
    words = ["--limit", "staging", "-e", "stack=odoo18", *more]
    _, answer = play(CHECK.replace("name: history", f"name: {name}"), inventory, *words)
    (line,) = (line for line in answer["display"] if line.startswith("  undo "))
    assert line.split(maxsplit=1)[1].startswith(undo)
    assert "3f2a91c0" not in line


def test_a_template_in_an_input_is_text_and_nothing_else(inventory: Path) -> None:
    _, answer = play(CHECK, inventory, "-e", "{\"path\": \"{{ lookup('pipe', 'id') }}\"}")
    assert answer["inputs"]["path"] == "{{ lookup('pipe', 'id') }}"


@pytest.mark.parametrize(
    ("name", "more", "said"),
    [
        ("deploy", ["-e", "stack=odo18", "-e", "release=sha-19b9b98"], "did you mean 'odoo18'?"),
        ("deploy", ["-e", "stack=odoo18", "-e", "release=19b9b98"], "'19b9b98' is not a release"),
        ("deploy", ["-e", "stack=odoo18"], "add -e release=sha-19b9b98"),
        ("deploy", ["-e", "stack=odoo18", "-e", "release=sha-19b9b98"], "add --limit production or --limit staging"),
        ("deploy", ["-e", "stack=odoo18", "-e", "reason=invoice fix now"], "'fix now' belongs to no input"),
        ("roll_back", ["--limit", "staging", "-e", "stack=odoo18", "-e", "steps=0"], "0 is outside 1.."),
        ("restore", ["--limit", "staging", "-e", "stack=odoo18", "-e", "databse=acme"], "did you mean 'database'?"),
    ],
)
def test_real_playbooks_refuse_bad_input_before_they_connect(
    inventory: Path, name: str, more: list[str], said: str
) -> None:
    done = run(ROOT / "playbooks" / f"{name}.yml", inventory, *more)
    assert done.returncode == 2, done.stdout
    assert said in done.stdout
    assert "UNREACHABLE" not in done.stdout


TABLE = """
- name: Try
  hosts: stack_hosts
  gather_facts: false
  tasks:
    - name: Answer on one host only
      ansible.builtin.set_fact:
        found: {rows: [{stack: odoo18, tenant: 長城}]}
      when: inventory_hostname == "staging-1"
    - name: Show it
      seisei.ops.table:
        title: Stacks
        columns: [host, stack, tenant]
        rows_of: found
        path: FILE
      run_once: true
      register: answer
    - name: Keep the answer
      ansible.builtin.copy:
        content: "{{ answer | to_json }}"
        dest: OUT
        mode: "0600"
      check_mode: false
      delegate_to: localhost
      connection: local
      run_once: true
"""


def test_rows_are_gathered_from_all_hosts_and_silent_hosts_are_named(inventory: Path) -> None:
    path = inventory.parent / "reports" / "table.json"
    done, answer = play(TABLE.replace("FILE", str(path)), inventory)
    assert done.returncode == 0, done.stdout
    assert answer["report"]["rows"] == [{"host": "staging-1", "stack": "odoo18", "tenant": "長城"}]
    assert answer["display"][-1] == "  No answer from production-1: their rows are missing."
    assert answer["changed"] is True
    assert json.loads(path.read_text(encoding="utf-8")) == answer["report"]
    assert play(TABLE.replace("FILE", str(path)), inventory)[1]["changed"] is False


def test_a_file_has_the_format_that_was_asked_for(inventory: Path) -> None:
    path = inventory.parent / "table.csv"
    book = TABLE.replace("FILE", str(path)).replace("rows_of: found", "rows_of: found\n        format: csv")
    done, _ = play(book, inventory)
    assert done.returncode == 0, done.stdout
    assert path.read_text(encoding="utf-8") == "host,stack,tenant\nstaging-1,odoo18,長城\n"


def test_rows_of_another_kind_follow_in_json_alone(inventory: Path) -> None:
    keep = """
    - name: Keep what is open
      ansible.builtin.set_fact:
        open: {rows: [{open: break_glass, stack: ocr}]}
      run_once: true
    - name: Show it
"""
    text = TABLE.replace("    - name: Show it\n", keep.lstrip("\n")).replace(
        "path: FILE", "and_of: open\n        format: json"
    )
    done, answer = play(text, inventory)
    assert done.returncode == 0, done.stdout
    assert [row.get("open") for row in json.loads("\n".join(answer["display"]))] == [None, "break_glass"]
    answer = play(text.replace("format: json", "format: csv"), inventory)[1]
    assert answer["display"] == ["host,stack,tenant", "staging-1,odoo18,長城"]


def test_a_rehearsal_writes_no_file(inventory: Path) -> None:
    path = inventory.parent / "table.json"
    _, answer = play(TABLE.replace("FILE", str(path)), inventory, "--check")
    assert answer["changed"] is True
    assert not path.exists()


def test_a_file_that_cannot_be_written_is_told(inventory: Path) -> None:
    (inventory.parent / "file").write_text("", encoding="utf-8")
    done, _ = play(TABLE.replace("FILE", str(inventory.parent / "file" / "table.json")), inventory)
    assert done.returncode != 0
    assert "the table cannot be written" in done.stdout
