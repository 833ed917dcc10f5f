"""Shows a run to the person who started it, and leaves a report."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: stdout
short_description: Live table on a terminal, plain lines elsewhere, a JSON report of every run
version_added: 0.1.0
author: Seisei operations
description:
  - On a terminal, a short live table shows for each host the step it is at, the time it takes and its result; finished
    plays stay as one line each.
  - Elsewhere, and with C(-v), a line for each step tells the time since the start, the host, the result and the step.
  - The message of a failed step is printed in full; so are the lines of a result's key C(display), meant for people,
    and the diffs asked for with C(--diff).
  - A report in JSON is written at the end and its path printed. It holds, for each task and host, the result, the
    seconds, the message, and the result's key C(report) when it is a dictionary.
  - Arguments of modules are never shown or written, results marked C(no_log) neither; values that sound like secrets
    are masked.
requirements:
  - rich, for the live table; without it there are plain lines
options:
  report_directory:
    description: Where reports are written. A directory that cannot be written costs a warning, not the run.
    type: path
    default: build/reports
    ini:
      - section: callback_progress
        key: report_directory
    env:
      - name: OPS_REPORT_DIRECTORY
"""

import atexit
import importlib.util
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ansible import context
from ansible.playbook.task_include import TaskInclude
from ansible.plugins.callback import CallbackBase

from ..module_utils.model.masking import mask_text, mask_tree
from ..plugin_utils.progress_view import PlainView, View
from ..plugin_utils.run_report import (
    Outcome,
    RunReport,
    Status,
    TaskRecord,
    exit_status,
    is_hidden,
    read_outcome,
    recap_line,
    utc_now,
)

_TICK_S = 0.25
_PROMPTING = ("ansible.builtin.pause", "pause")


class CallbackModule(CallbackBase):
    """Tells a view and a report what happens; decides nothing."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "seisei.ops.progress"

    def __init__(self) -> None:
        super().__init__()
        # Ansible holds this lock whenever it forks a worker. The ticking thread draws only while holding it, so that no
        # worker is born with a lock that nobody will ever release.
        self._turn: threading.RLock = self._display._lock
        self._view: View = PlainView(self._write)
        self._report: RunReport | None = None
        self._play = ""
        self._began: dict[tuple[str, str], float] = {}
        self._stopped = threading.Event()

    # ---- the run -----------------------------------------------------------------------------------------------------

    def v2_playbook_on_start(self, playbook: Any) -> None:
        if self._report is not None:
            return
        self._report = RunReport(Path(playbook._file_name), bool(context.CLIARGS.get("check")), utc_now())
        self._view = self._choose_view()
        if self._report.check:
            self._view.note("Rehearsal (--check): nothing is changed.")
        threading.Thread(target=self._tick, name="progress", daemon=True).start()
        # An interrupted run ends without recap; the terminal and the report are owed all the same.
        atexit.register(self._end, os.getpid())

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._play = mask_text(play.get_name().strip())
        with self._turn:
            self._view.play_started(self._play)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        hosts = {host: dict(stats.summarize(host)) for host in sorted(stats.processed)}
        if self._report:
            self._report.hosts = hosts
            self._report.exit_status = exit_status(hosts)
        self._end(os.getpid())

    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._note("        no host matched: check --limit and the inventory")

    def v2_playbook_on_vars_prompt(self, *_arguments: Any, **_keywords: Any) -> None:
        with self._turn:
            self._view.pause()

    # ---- steps -------------------------------------------------------------------------------------------------------

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._record(task)
        if task.action in _PROMPTING:
            with self._turn:
                self._view.pause()

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._record(task)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._began[(host.get_name(), task._uuid)] = time.monotonic()
        if task.action not in _PROMPTING:
            with self._turn:
                self._view.step_started(host.get_name(), _step_name(task))
                self._flush()

    def v2_runner_on_ok(self, result: Any) -> None:
        if not isinstance(result.task, TaskInclude):
            self._step_ended(result, "changed" if result.is_changed() else "ok")

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._step_ended(result, "skipped")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._step_ended(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._step_ended(result, "unreachable")

    def v2_runner_retry(self, result: Any) -> None:
        attempts, retries = result.result.get("attempts"), result.result.get("retries")
        self._note(
            f"        {self.host_label(result)} tries again ({attempts} of {retries}): {_step_name(result.task)}"
        )

    def v2_runner_item_on_ok(self, result: Any) -> None:
        self._tell_warnings(result)

    def v2_runner_item_on_failed(self, result: Any) -> None:
        self._tell_warnings(result)

    def v2_on_file_diff(self, result: Any) -> None:
        for one in result.result.get("results", [result.result]) if result.task.loop else [result.result]:
            if one.get("diff") and one.get("changed") and not is_hidden(one):
                self._note(mask_text(self._get_diff(one["diff"])).rstrip("\n"))

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _step_ended(self, result: Any, status: Status) -> None:
        host, task = result.host.get_name(), result.task
        began = self._began.pop((host, task._uuid), None)
        seconds = time.monotonic() - began if began is not None else 0.0
        address = str(result.host.vars.get("ansible_host", ""))
        outcome = read_outcome(
            self.host_label(result), _step_name(task), status, seconds, result.result, address=address
        )
        self._record(task).outcomes[host] = outcome
        self._tell_warnings(result)
        with self._turn:
            self._view.step_ended(outcome)
            if self._is_told_in_full(result) and not is_hidden(result.result):
                self._view.note(self._in_full(outcome, result))
            self._flush()

    def _is_told_in_full(self, result: Any) -> bool:
        return bool(self._run_is_verbose(result)) and not result.is_skipped()

    def _in_full(self, outcome: Outcome, result: Any) -> str:
        if result.task.action in ("ansible.builtin.debug", "debug") and outcome.message:
            return "\n".join(f"        {line}" for line in outcome.message.splitlines())
        plain = self._dump_results(result.result, serialize=False)
        plain.pop("invocation", None)
        return json.dumps(mask_tree(plain), indent=2, ensure_ascii=False)

    def _tell_warnings(self, result: Any) -> None:
        if not is_hidden(result.result):
            self._handle_warnings(result.result)

    def _record(self, task: Any) -> TaskRecord:
        report = self._report or RunReport(Path("unknown"), False, utc_now())
        return report.tasks.setdefault(task._uuid, TaskRecord(_step_name(task), self._play, task.action, utc_now()))

    def _note(self, text: str) -> None:
        with self._turn:
            self._view.note(text)
            self._flush()

    def _choose_view(self) -> View:
        is_terminal = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        if is_terminal and not self._display.verbosity and importlib.util.find_spec("rich"):
            from ..plugin_utils.live_view import LiveView  # noqa: PLC0415 - rich is only there where terminals are

            return LiveView()
        return PlainView(self._write, verbose=bool(self._display.verbosity))

    def _write(self, text: str) -> None:
        self._display.display(text)

    def _flush(self) -> None:
        # A pipe is buffered by the block, and who watches a log wants the line now.
        sys.stdout.flush()

    def _tick(self) -> None:
        while not self._stopped.wait(_TICK_S):
            with self._turn:
                if not self._stopped.is_set():
                    self._view.tick()
                    self._flush()

    def _end(self, owner: int) -> None:
        if self._report is None or self._stopped.is_set() or owner != os.getpid():
            return
        self._stopped.set()
        report, ended = self._report, utc_now()
        with self._turn:
            self._view.close()
            width = max((len(host) for host in report.hosts), default=0)
            for host, count in report.hosts.items():
                self._write(recap_line(host, count, width))
            seconds = (ended - report.started).total_seconds()
            self._write(f"{report.playbook.stem}: {_verdict(report)} in {seconds:.1f} s")
        self._write_report(report)
        with self._turn:
            self._flush()

    def _write_report(self, report: RunReport) -> None:
        directory = Path(self.get_option("report_directory"))
        try:
            path = report.write(directory, utc_now())
        except OSError as error:
            self._display.warning(
                f"The report could not be written: {error}. Next: make {directory} writable, or name another directory "
                "in OPS_REPORT_DIRECTORY"
            )
        else:
            self._write(f"report: {_shortest(path)}")


def _verdict(report: RunReport) -> str:
    if report.exit_status is None:
        return "interrupted"
    return "ok" if report.exit_status == 0 else f"failed (exit status {report.exit_status})"


def _shortest(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _step_name(task: Any) -> str:
    return mask_text(task.get_name().strip())
