"""Running what an operator would type, in the lab, and reading the report it leaves.

A plain child process, not ansible-runner: the terminal stays the child's own, so that its live table is seen as an
operator sees it, and the command that is shown is the command that runs.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plugins.module_utils.model.errors import OpsError

ROOT = Path(__file__).resolve().parents[2]
# What a child may take to end by itself after an interruption, in seconds: the terminal has told it already.
_GRACE_S = 15
_FAILED_TASK = 2


@dataclass(frozen=True)
class Run:
    """One run of a playbook that came to its end: exit status, wall-clock seconds, and its report."""

    playbook: str
    status: int
    seconds: float
    report: Mapping[str, Any]

    @property
    def refused(self) -> bool:
        """Whether a step failed on a host that was reached."""
        return self.status == _FAILED_TASK

    @property
    def changed(self) -> bool:
        """Whether anything was changed on any host."""
        return any(host["changed"] for host in self.report["hosts"].values())

    def told_by(self, action: str) -> dict[str, Any]:
        """What ``action`` reported, of the first host where it did. Raises OpsError when it said nothing."""
        for task in self.report["tasks"]:
            for outcome in task["hosts"].values():
                if task["action"] == action and "report" in outcome:
                    return dict(outcome["report"])
        raise OpsError(f"{action} reported nothing", where=f"playbooks/{self.playbook}.yml", do="read build/reports")

    @property
    def complaint(self) -> str:
        """The message of the first step that failed; empty when none did."""
        outcomes = (outcome for task in self.report["tasks"] for outcome in task["hosts"].values())
        bad = (outcome for outcome in outcomes if outcome["status"] in ("failed", "unreachable"))
        return next((str(outcome.get("msg", "it gave no reason")) for outcome in bad), "")


@dataclass(frozen=True)
class Procedures:
    """Runs playbooks on the lab. ``reports`` is a directory of this story alone: whose report is whose is certain."""

    reports: Path

    def run(self, playbook: str, *, limit: str = "", signer: str = "", **inputs: str) -> Run:
        """Run a playbook to a good end. Raises OpsError with its own complaint otherwise."""
        run = self.attempt(playbook, limit=limit, signer=signer, **inputs)
        if run.status != 0:
            complaint = run.complaint or f"it ended with exit status {run.status}"
            raise OpsError(complaint, where=f"playbooks/{playbook}.yml")
        return run

    def attempt(self, playbook: str, *, limit: str = "", signer: str = "", **inputs: str) -> Run:
        """Run a playbook, whatever comes of it. ``signer`` signs in place of the developer.

        Raises OpsError when it leaves no report.
        """
        words = command(playbook, limit, inputs)
        signing = {"SEISEI_SIGNING_KEY": f"build/lab/signers/{signer}"} if signer else {}
        print(f"$ {shlex.join([*(f'{name}={value}' for name, value in signing.items()), *words])}", flush=True)
        before, began = self._written(), time.monotonic()
        status = call(words, {**environment(os.environ), **signing, "OPS_REPORT_DIRECTORY": str(self.reports)})
        seconds = round(time.monotonic() - began, 1)
        fresh = sorted(self._written() - before)
        if not fresh:
            raise OpsError(
                f"it ended with exit status {status} and left no report",
                where=f"playbooks/{playbook}.yml",
                do=f"run it by itself: {shlex.join(words)}",
            )
        return Run(playbook, status, seconds, json.loads(fresh[-1].read_text(encoding="utf-8")))

    def _written(self) -> set[Path]:
        return set(self.reports.glob("*.json"))


def command(playbook: str, limit: str, inputs: Mapping[str, str]) -> list[str]:
    """The words an operator would type."""
    words = ["ansible-playbook", "-i", "inventories/lab", f"playbooks/{playbook}.yml"]
    words += ["--limit", limit] if limit else []
    for name, value in inputs.items():
        # Ansible cuts name=value at a blank.
        words += ["-e", json.dumps({name: value}) if " " in value else f"{name}={value}"]
    return words


def environment(own: Mapping[str, str]) -> dict[str, str]:
    """The environment of a playbook, from our ``own``: no inventory or setting in there leads it elsewhere."""
    kept = {name: value for name, value in own.items() if not name.startswith("ANSIBLE_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{own.get('PATH', '')}"
    return {**kept, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": path}


def run_lab(*words: str) -> dict[str, Any]:
    """Run one command of the lab, its progress on the terminal; return what it reports. Raises OpsError."""
    line = [sys.executable, "molecule/lab", *words, "--json"]
    print(f"$ .venv/bin/python molecule/lab {shlex.join(words)}", flush=True)
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            said, _ = child.communicate()
        except KeyboardInterrupt:
            _let_end(child)
            raise
    told: dict[str, Any] = json.loads(said or "{}")
    if child.returncode != 0:
        error = told.get("error") or {"what": f"it ended with exit status {child.returncode}"}
        raise OpsError(error["what"], where=error.get("where", ""), do=error.get("do", "") or "make lab")
    return told


def call(words: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run a child on this terminal to its end; an interruption lets it end by itself before it goes on."""
    with subprocess.Popen(words, cwd=ROOT, env=dict(variables)) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            _let_end(child)
            raise


def _let_end(child: subprocess.Popen[Any]) -> None:
    try:
        child.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        child.terminate()
        child.wait()
