"""Reading results into outcomes, and the report they add up to."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from plugins.plugin_utils.run_report import (
    HIDDEN,
    RunReport,
    Status,
    TaskRecord,
    exit_status,
    read_outcome,
    recap_line,
)

BEGAN = datetime(2026, 2, 1, 6, 0, tzinfo=UTC)
NONE = {"ok": 0, "changed": 0, "skipped": 0, "rescued": 0, "ignored": 0, "failures": 0, "unreachable": 0}


def read(status: Status, **result: Any) -> Any:
    return read_outcome("staging-1", "Do it", status, 1.5, result)


def test_a_failure_keeps_the_modules_words_in_full() -> None:
    said = "a\n" * 200
    assert read("failed", failed=True, msg=said).message == said.strip()


def test_a_failed_command_adds_what_it_printed() -> None:
    outcome = read("failed", msg="The command exited with a non-zero return code.", stderr="no such file", rc=1)
    assert outcome.message.splitlines() == ["The command exited with a non-zero return code.", "no such file"]


def test_a_crashed_module_shows_the_end_of_its_output() -> None:
    trace = "\n".join(f"line {number}" for number in range(100))
    message = read("failed", msg="Module failed", module_stderr=trace).message
    assert message.endswith("line 99")
    assert len(message.splitlines()) == 21


def test_a_loop_tells_which_items_failed() -> None:
    results = [
        {"item": "a", "msg": "fine"},
        {"item": "b", "msg": "not so", "exception": "(traceback unavailable)"},
        {"item": {"name": "c", "password": "hunter2"}, "failed": True, "msg": "neither"},
    ]
    message = read("failed", msg="One or more items failed", results=results).message
    assert "[b] not so" in message
    assert "fine" not in message
    assert "hunter2" not in message


def test_an_unreachable_host_is_one_sentence_with_place_and_next_step() -> None:
    said = (
        "Data could not be sent to remote host. Make sure this host can be reached over ssh: \nssh: connect: No route"
    )
    message = read_outcome("web", "Do it", "unreachable", 0, {"msg": said}, address="10.0.0.9").message
    assert message.startswith("web (10.0.0.9): cannot be reached: ssh: connect: No route. Next: ")
    assert "\n" not in message


def test_display_lines_come_from_the_result_and_its_items() -> None:
    outcome = read("ok", display=["top"], results=[{"display": ["one"]}, {"display": ["two"]}, {"display": "no list"}])
    assert outcome.display == ("top", "one", "two")


@pytest.mark.parametrize("mark", [{"censored": "hidden"}, {"_ansible_no_log": True}])
@pytest.mark.parametrize("status", ["ok", "failed", "unreachable"])
def test_nothing_of_a_hidden_result_is_kept(status: Status, mark: dict[str, Any]) -> None:
    kept = read(status, **mark, msg="hunter2", display=["hunter2"], report={"x": "hunter2"}, stderr="hunter2")
    assert "hunter2" not in repr(kept)
    assert kept.message == ("" if status == "ok" else HIDDEN)


def test_a_report_that_is_no_dictionary_is_left_out() -> None:
    assert read("ok", report="text").report is None
    assert read("ok", report={"a": 1, "db_password": "x"}).report == {"a": 1, "db_password": "********"}


def a_report() -> RunReport:
    report = RunReport(Path("playbooks/deploy.yml"), False, BEGAN)
    report.hosts = {"staging-1": {**NONE, "ok": 1}}
    report.exit_status = 0
    task = TaskRecord("Deploy", "Release", "seisei.ops.release", BEGAN)
    task.outcomes["staging-1"] = read(
        "changed", msg="done", report={"release": "sha-1"}, invocation={"module_args": {}}
    )
    report.tasks["1"] = task
    return report


def test_the_report_is_json_for_its_owner_only(tmp_path: Path) -> None:
    path = a_report().write(tmp_path / "new" / "reports", BEGAN + timedelta(seconds=61))
    assert path.name == "20260201T060000.000000Z-deploy.json"
    assert path.stat().st_mode & 0o777 == 0o600
    written = json.loads(path.read_text())
    assert written["playbook"] == "deploy"
    assert written["seconds"] == 61
    assert written["started"] == "2026-02-01T06:00:00.000Z"
    [task] = written["tasks"]
    assert task["hosts"]["staging-1"] == {
        "status": "changed",
        "seconds": 1.5,
        "changed": True,
        "msg": "done",
        "report": {"release": "sha-1"},
    }


def test_a_report_is_never_overwritten(tmp_path: Path) -> None:
    a_report().write(tmp_path, BEGAN)
    with pytest.raises(FileExistsError):
        a_report().write(tmp_path, BEGAN)


@pytest.mark.parametrize(
    ("counts", "status"),
    [({}, 0), ({"ok": 3, "rescued": 1, "ignored": 1}, 0), ({"failures": 1}, 2), ({"unreachable": 1, "failures": 1}, 4)],
)
def test_exit_status(counts: dict[str, int], status: int) -> None:
    assert exit_status({"a": NONE, "b": {**NONE, **counts}}) == status


def test_recap_leaves_out_the_zeros_that_say_nothing() -> None:
    assert recap_line("a", {**NONE, "ok": 2}, 3) == "a    ok 2  changed 0"
    assert recap_line("a", {**NONE, "failures": 2}, 1) == "a  ok 0  changed 0  failed 2"


def test_what_a_terminal_would_obey_is_not_shown() -> None:
    outcome = read("failed", msg="no\x1b[2K\nnext", display=["a\x9b1A", "{\n\t1"])
    assert outcome.message == "no\ufffd[2K\nnext"
    assert outcome.display == ("a\ufffd1A", "{\n\t1")
