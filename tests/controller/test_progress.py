"""The callback in real runs of ansible-playbook on this machine: what shows, what stays, and what never does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
SECRET = "hunter2-Zx9"
MODULE = """
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={"fail": {"type": "str"}, "word": {"type": "str", "no_log": False}})
if module.params["fail"]:
    module.fail_json(msg=module.params["fail"])
module.warn("look out")
module.exit_json(
    changed=True, display=["name   state", "odoo   up"], report={"release": "sha-1", "db_password": "WORD"},
    diff={"before": "a\\n", "after": "b\\npassword: WORD\\n"},
)
""".replace("WORD", SECRET)
HEAR = {"name": "Hear it", "told": {"word": SECRET}}


@dataclass(frozen=True)
class Run:
    """An ended run: everything that was printed, and the reports it left."""

    code: int
    said: str
    reports: list[dict[str, Any]]

    @property
    def report(self) -> dict[str, Any]:
        [only] = self.reports
        return only

    def outcome(self, task: str, host: str = "one") -> dict[str, Any]:
        [found] = [entry for entry in self.report["tasks"] if entry["name"] == task]
        return dict(found["hosts"][host])


@dataclass(frozen=True)
class Desk:
    """A place to run small playbooks with the settings that are checked in."""

    folder: Path

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    def command(self, tasks: list[dict[str, Any]], *options: str, hosts: str = "one") -> list[str]:
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        nowhere = {"ansible_host": "127.0.0.1", "ansible_port": 1}
        inventory = {"all": {"hosts": {"one": local, "two": local, "nowhere": nowhere}}}
        play = [{"name": "Try it", "hosts": hosts, "gather_facts": False, "tasks": tasks}]
        (self.folder / "hosts.yml").write_text(yaml.safe_dump(inventory))
        (self.folder / "try.yml").write_text(yaml.safe_dump(play, sort_keys=False))
        (self.folder / "told.py").write_text(MODULE)
        book, list_ = self.folder / "try.yml", self.folder / "hosts.yml"
        return [str(ANSIBLE_PLAYBOOK), "-i", str(list_), "-M", str(self.folder), str(book), *options]

    def environment(self) -> dict[str, str]:
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
        return {**inherited, "OPS_REPORT_DIRECTORY": str(self.reports), "TERM": "xterm", "ANSIBLE_NOCOLOR": "1"}

    def run(self, *tasks: dict[str, Any], options: tuple[str, ...] = (), hosts: str = "one") -> Run:
        done = subprocess.run(
            self.command(list(tasks), *options, hosts=hosts),
            cwd=ROOT,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        return Run(done.returncode, done.stdout, self.read())

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(file.read_text()) for file in sorted(self.reports.glob("*.json"))]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def shell(name: str, command: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "ansible.builtin.command": command, **more}


NEVER_MIND = {"name": "Fail", "told": {"fail": "never mind"}, "ignore_errors": True}


# One worker makes the run that all of these look at.
ONE_RUN = pytest.mark.xdist_group("one-run")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run that meets much on two hosts, and ends well."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    for_one = [
        shell("Pass by", "true", when=False),
        NEVER_MIND,
        HEAR,
        {**HEAR, "name": "Show it", "diff": True},
        shell("Try all", "{{ item }}", loop=["true", "ls /nowhere-at-all"], ignore_errors=True),
        # Not under -v: that shows a command's own words, which are arguments and no secret's place.
        shell("Fail with words", f"sh -c 'echo token={SECRET} >&2; exit 3'", ignore_errors=True),
        shell("Wait", "false", retries=1, delay=0, until=False, ignore_errors=True),
    ]
    only = {"when": "inventory_hostname == 'one'"}
    return desk.run(shell("Look", "true"), *({**only, **task} for task in for_one), hosts="one,two")


@ONE_RUN
def test_steps_are_lines(run: Run) -> None:
    assert run.code == 0, run.said
    for host in ("one", "two"):
        assert re.search(rf"^ +\d+\.\ds {host} changed Look( \(\d+\.\d s\))?$", run.said, re.M)
    assert "Pass by" not in run.said


@ONE_RUN
def test_the_report_tells_the_same(run: Run) -> None:
    assert run.outcome("Pass by")["status"] == "skipped"
    assert run.outcome("Look", "two")["changed"] is True
    assert run.report["exit_status"] == 0
    assert run.report["hosts"]["two"]["skipped"] == 7
    assert "one  ok 7  changed 6  skipped 1  ignored 4" in run.said
    assert re.search(r"^report: /.*/reports/\d{8}T\d{6}\.\d{6}Z-try\.json$", run.said, re.M)


@ONE_RUN
def test_an_ignored_failure_is_not_a_failed_run(run: Run) -> None:
    assert run.outcome("Fail")["status"] == "ignored"
    assert "never mind" in run.said


@ONE_RUN
def test_display_report_and_warning_reach_the_person(run: Run) -> None:
    assert "\nname   state\nodoo   up\n" in run.said
    assert "look out" in run.said
    assert run.outcome("Hear it")["report"] == {"release": "sha-1", "db_password": "********"}


@ONE_RUN
def test_a_diff_is_shown_when_asked_for(run: Run) -> None:
    assert run.said.count("\n+b\n") == 1, "only for the step that was asked"


@ONE_RUN
def test_loops_tell_which_item_failed(run: Run) -> None:
    assert "[ls /nowhere-at-all] The command exited" in run.said
    assert "No such file" in run.said
    assert "[true]" not in run.said


@ONE_RUN
def test_retries_are_told(run: Run) -> None:
    assert "one tries again" in run.said


def test_a_failure_is_told_in_full_and_the_exit_status_is_ansibles(desk: Desk) -> None:
    words = "no such stack 'odo'" + " because" * 60 + ". Next: make status"
    run = desk.run({"name": "Fail", "told": {"fail": words}}, hosts="one,two")
    assert run.code == run.report["exit_status"] == 2
    assert words in run.said
    assert run.outcome("Fail") == {**run.outcome("Fail"), "status": "failed", "changed": False}
    assert words in run.outcome("Fail")["msg"]
    assert "try: failed (exit status 2)" in run.said


def test_an_unreachable_host_is_one_sentence(desk: Desk) -> None:
    run = desk.run(shell("Look", "true"), hosts="nowhere")
    assert run.code == run.report["exit_status"] == 4
    assert "nowhere (127.0.0.1): cannot be reached: " in run.said
    assert "Next: check that the host is up" in run.outcome("Look", "nowhere")["msg"]


SAY_IT = f"echo {SECRET}"
LEAKS = [
    shell("Hide the output", SAY_IT, no_log=True),
    shell("Hide a failure", SAY_IT, no_log=True, failed_when=True, ignore_errors=True),
    shell("Hide a loop", "echo {{ item }}", no_log=True, loop=[SECRET, "b"]),
    shell("Hide a failing loop", "false {{ item }}", no_log=True, loop=[SECRET], ignore_errors=True),
    HEAR,
    {**HEAR, "name": "Hear it hidden", "no_log": True},
    {"name": "Write", "ansible.builtin.copy": {"content": f"password: {SECRET}\n", "dest": "{{ playbook_dir }}/out"}},
    {"name": "Tell", "ansible.builtin.debug": {"msg": f"postgres://odoo:{SECRET}@db/acme"}},
    {"name": "Fail", "told": {"fail": f"login refused, DB_PASSWORD={SECRET}"}, "ignore_errors": True},
]


def test_no_secret_is_shown_or_written(desk: Desk) -> None:
    run = desk.run(*LEAKS, options=("-v", "--diff"))
    assert run.code == 0, run.said
    assert len(run.report["tasks"]) == len(LEAKS)
    assert SECRET not in run.said
    assert SECRET not in json.dumps(run.report)
    assert "module_args" not in json.dumps(run.report)
    assert "the step handles a secret" in run.said


@ONE_RUN
def test_no_secret_of_a_failed_command_is_shown_or_written(run: Run) -> None:
    assert "token=********" in run.said
    assert SECRET not in run.said
    assert SECRET not in json.dumps(run.report)


def test_a_rehearsal_says_so_and_a_report_that_cannot_be_written_costs_a_warning(desk: Desk) -> None:
    desk.reports.write_text("a file stands where the directory should be")
    run = desk.run(shell("Look", "true"), options=("--check",))
    assert run.code == 0
    assert "Rehearsal (--check): nothing is changed." in run.said
    said = " ".join(run.said.split())
    assert "The report could not be written" in said
    assert "OPS_REPORT_DIRECTORY" in said


# The child becomes ansible-playbook at once, so the threads of the parent are nothing to it.
FORKS = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@FORKS
def test_a_terminal_gets_a_live_table_and_ends_clean(desk: Desk) -> None:
    tasks = [shell("Take a while", "sleep 1.2"), HEAR, {"name": "Fail", "told": {"fail": "too bad"}}]
    command, *arguments = desk.command(tasks)
    child = pexpect.spawn(
        command, arguments, cwd=str(ROOT), env=desk.environment(), dimensions=(30, 100), encoding="utf-8", timeout=60
    )
    child.expect("elapsed")
    child.expect("Take a while.*0.[0-9] s.*running")
    child.expect("Take a while.*1.[0-9] s", timeout=10)
    child.expect(pexpect.EOF)
    child.close()
    said = f"{child.before}"
    assert child.exitstatus == 2
    assert "odoo   up" in said
    assert "too bad" in said
    assert "Try it: 1 host, 3 steps, 2 changed, 1 failed" in said
    assert said.rfind("\x1b[?25h") > said.rfind("\x1b[?25l"), "the cursor comes back"
    assert desk.read()[0]["exit_status"] == 2
    assert SECRET not in said


@FORKS
def test_an_interrupted_run_gives_the_terminal_back_and_leaves_a_report(desk: Desk) -> None:
    command, *arguments = desk.command([shell("Take a while", "sleep 30")])
    child = pexpect.spawn(
        command, arguments, cwd=str(ROOT), env=desk.environment(), dimensions=(30, 100), encoding="utf-8", timeout=60
    )
    # Not at once: Python drops an interrupt that comes while it forks.
    child.expect(r"[1-9]\.\d s.*running")
    child.sendintr()
    child.expect("try: interrupted")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus not in (0, None)
    assert desk.read()[0]["exit_status"] is None


def test_a_pipe_sees_each_line_when_it_happens(desk: Desk) -> None:
    seconds = "{{ 0 if inventory_hostname == 'one' else 30 }}"
    command = desk.command([shell("Take a while", f"sleep {seconds}")], hosts="one,two")
    with subprocess.Popen(command, cwd=ROOT, env=desk.environment(), stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        seen = next(line for line in child.stdout if "one changed" in line)
        assert child.poll() is None, f"the run went on after {seen}"
        child.terminate()
        assert "two changed" not in child.stdout.read()
