"""What happened in one run of ansible-playbook, as plain data: read from results, kept, written as JSON.

Nothing in here comes from a module's arguments, and nothing of a result that was hidden with ``no_log`` is kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ..module_utils.model.legible import legible
from ..module_utils.model.masking import mask_text, mask_tree

Status = Literal["ok", "changed", "skipped", "failed", "ignored", "unreachable"]

HIDDEN = "the step handles a secret, so its output is hidden (no_log)"
_TAIL_LINES = 20


@dataclass(frozen=True)
class Outcome:
    """How one step ended on one host. Texts are masked already; ``seconds`` is the step's own time."""

    host: str
    step: str
    status: Status
    seconds: float
    message: str = ""
    display: tuple[str, ...] = ()
    report: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """For the report: the message of a step that went well says nothing an operator looks for later."""
        entry: dict[str, Any] = {
            "status": self.status,
            "seconds": round(self.seconds, 3),
            "changed": self.status == "changed",
        }
        if self.message:
            entry["msg"] = self.message
        if self.report is not None:
            entry["report"] = dict(self.report)
        return entry


def read_outcome(
    host: str, step: str, status: Status, seconds: float, result: Mapping[str, Any], *, address: str = ""
) -> Outcome:
    """The outcome told by a result as a callback gets it. ``address`` is where the host was looked for."""
    step = mask_text(step)
    if is_hidden(result):
        message = HIDDEN if status in ("failed", "ignored", "unreachable") else ""
        return Outcome(host, step, status, seconds, message)
    report = result.get("report")
    if status == "unreachable":
        message = _unreachable_message(host, address, result)
    else:
        message = _message(result, failed=status in ("failed", "ignored"))
    return Outcome(
        host,
        step,
        status,
        seconds,
        legible(mask_text(message)),
        tuple(legible(mask_text(line)) for line in _display_lines(result)),
        mask_tree(report) if isinstance(report, Mapping) else None,
    )


def is_hidden(result: Mapping[str, Any]) -> bool:
    """Whether the result was marked ``no_log``."""
    return "censored" in result or bool(result.get("_ansible_no_log"))


def _message(result: Mapping[str, Any], *, failed: bool) -> str:
    """The module's own words, with what failed items of a loop and failed commands add to them."""
    items = [_item_message(item) for item in _items(result) if _is_failure(item)] if failed else []
    if items:
        return "\n".join(items)
    parts = [str(result.get("msg", "")).strip()]
    if failed:
        parts += [_tail(result.get(key)) for key in ("stderr", "module_stderr", "module_stdout")]
    return "\n".join(dict.fromkeys(part for part in parts if part))


def _is_failure(item: Mapping[str, Any]) -> bool:
    # ansible-core 2.19 took the key `failed` from what callbacks see; a failure carries an exception instead.
    return bool(item.get("failed")) or "exception" in item


def _item_message(item: Mapping[str, Any]) -> str:
    label = mask_tree(item.get("_ansible_item_label", item.get("item", "")))
    return f"[{label}] {_message(item, failed=True)}"


def _items(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    results = result.get("results")
    return [item for item in results if isinstance(item, Mapping)] if isinstance(results, list) else []


def _tail(output: object) -> str:
    lines = str(output or "").strip().splitlines()
    return "\n".join(lines[-_TAIL_LINES:])


def _unreachable_message(host: str, address: str, result: Mapping[str, Any]) -> str:
    """One sentence of what, where and what next, in place of the several that ssh and its caller say."""
    words = str(result.get("msg", "")).strip()
    last = words.splitlines()[-1].strip() if words else "no reason given"
    reason = last.rsplit("via ssh: ", 1)[-1].rstrip(".")
    where = f"{host} ({address})" if address and address != host else host
    return (
        f"{where}: cannot be reached: {reason}. "
        f"Next: check that the host is up and takes your key (ansible {host} -m ansible.builtin.ping -vvv), "
        "then run again"
    )


def _display_lines(result: Mapping[str, Any]) -> list[str]:
    """Lines a module wrote for people, under the key ``display``; those of a loop's items one after the other."""
    own = result.get("display")
    lines = [str(line) for line in own] if isinstance(own, list) else []
    for item in _items(result):
        if not is_hidden(item):
            lines += _display_lines(item)
    return lines


@dataclass
class TaskRecord:
    """One task of the run, with an outcome for each host."""

    name: str
    play: str
    action: str
    started: datetime
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": mask_text(self.name),
            "play": mask_text(self.play),
            "action": self.action,
            "started": _stamp(self.started),
            "seconds": round(max((outcome.seconds for outcome in self.outcomes.values()), default=0.0), 3),
            "hosts": {host: outcome.as_dict() for host, outcome in self.outcomes.items()},
        }


@dataclass
class RunReport:
    """The record of one run. ``exit_status`` stays nothing until the run has come to its end."""

    playbook: Path
    check: bool
    started: datetime
    tasks: dict[str, TaskRecord] = field(default_factory=dict)
    hosts: dict[str, dict[str, int]] = field(default_factory=dict)
    exit_status: int | None = None

    def as_dict(self, ended: datetime) -> dict[str, Any]:
        return {
            "playbook": self.playbook.stem,
            "check": self.check,
            "started": _stamp(self.started),
            "ended": _stamp(ended),
            "seconds": round((ended - self.started).total_seconds(), 3),
            "exit_status": self.exit_status,
            "hosts": self.hosts,
            "tasks": [task.as_dict() for task in self.tasks.values()],
        }

    def write(self, directory: Path, ended: datetime) -> Path:
        """Write the report, readable by its owner only, and return its path. Raises ``OSError``."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{self.started:%Y%m%dT%H%M%S.%fZ}-{self.playbook.stem}.json"
        # Fresh names only: a report is evidence, never overwritten.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(self.as_dict(ended), file, indent=2, ensure_ascii=False)
            file.write("\n")
        return path


def exit_status(hosts: Mapping[str, Mapping[str, int]]) -> int:
    """What ansible-playbook exits with: 4 when a host was unreachable, 2 when one failed, else 0."""
    if any(count["unreachable"] for count in hosts.values()):
        return 4
    return 2 if any(count["failures"] for count in hosts.values()) else 0


def recap_line(host: str, count: Mapping[str, int], width: int) -> str:
    """``staging-1  ok 12  changed 3``: the zeros that say nothing are left out."""
    names = ("ok", "changed", "skipped", "rescued", "ignored", "failures", "unreachable")
    shown: Sequence[str] = [name for name in names if count.get(name) or name in ("ok", "changed")]
    words = {"failures": "failed"}
    return f"{host:<{width}}  " + "  ".join(f"{words.get(name, name)} {count.get(name, 0)}" for name in shown)


def utc_now() -> datetime:
    return datetime.now(UTC)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
