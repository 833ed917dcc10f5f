"""Controller side of seisei.ops.table: present rows to a person, a spreadsheet or a program."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..module_utils.model.document import Node
from ..module_utils.model.errors import OpsError
from ..module_utils.plan.table import FORMATS, compose, ordered, parse_columns
from ..plugin_utils.estate import EstateAction

SPEC: dict[str, dict[str, Any]] = {
    "title": {"type": "str", "default": ""},
    "columns": {"type": "list", "elements": "raw", "required": True},
    "rows": {"type": "list", "elements": "dict"},
    "rows_of": {"type": "str"},
    "and_of": {"type": "str", "default": ""},
    "format": {"type": "str", "choices": list(FORMATS), "default": "table"},
    "order_by": {"type": "str", "default": ""},
    "path": {"type": "path"},
}


class ActionModule(EstateAction):
    """Needs no connection to a host: what it shows was read before."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def act(self) -> dict[str, Any]:
        """Lay the rows out, and write them to a file when one is named."""
        _, args = self.validate_argument_spec(
            SPEC, mutually_exclusive=[("rows", "rows_of")], required_one_of=[("rows", "rows_of")]
        )
        columns = parse_columns(Node(args["columns"], "columns"))
        rows, silent = _gathered(args["rows_of"], self.task_vars) if args["rows_of"] else (args["rows"], [])
        if args["format"] == "json" and args["and_of"]:
            rows = [*rows, *(self.task_vars.get(args["and_of"]) or {}).get("rows", ())]
        if args["order_by"]:
            rows = ordered(rows, args["order_by"])
        lines = compose(columns, rows, form=args["format"], title=args["title"])
        if silent and args["format"] == "table":
            lines += [f"  No answer from {', '.join(silent)}: their rows are missing."]
        report = {"title": args["title"], "rows": rows, "silent": silent}
        text = "\n".join(lines) if args["format"] == "csv" else _json(report)
        changed = bool(args["path"]) and _write(Path(args["path"]), f"{text}\n", rehearsal=bool(self._task.check_mode))
        return {"changed": changed, "display": lines, "report": report}


def _gathered(name: str, variables: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    """The ``rows`` of the result registered as ``name`` on every host of the play, and the hosts that have none."""
    rows: list[dict[str, Any]] = []
    silent: list[str] = []
    for host in variables["ansible_play_hosts_all"]:
        result = variables["hostvars"][host].get(name)
        answer = result.get("rows") if isinstance(result, Mapping) else None
        if isinstance(answer, Sequence) and not isinstance(answer, str):
            rows.extend({"host": str(host), **row} for row in answer)
        else:
            silent.append(str(host))
    return rows, silent


def _json(report: Mapping[str, Any]) -> str:
    return json.dumps(report, ensure_ascii=False, indent=2, default=str)


def _write(path: Path, text: str, *, rehearsal: bool) -> bool:
    """Place a text; true when the file is not the same already. A reader never sees half of it."""
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return False
        if not rehearsal:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f".{path.name}.{os.getpid()}")
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(path)
    except OSError as error:
        raise OpsError(
            f"the table cannot be written ({error.strerror})",
            where=str(path),
            do="name a path that you may write with path=",
        ) from error
    return True
