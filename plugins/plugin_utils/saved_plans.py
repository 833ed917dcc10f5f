"""Plans kept on the controller, from the rehearsal that made them to the run that applies them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..module_utils.gateway.host_state import now, write_file
from ..module_utils.model.errors import OpsError

FORMAT = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}")


def plan_file(root: Path, name: str, host: str) -> Path:
    """Where the plan of one host lies under a name.

    Raises OpsError when the name could lead elsewhere.
    """
    if not _NAME.fullmatch(name):
        raise OpsError(f"'{name}' is not a plan's name", do="use letters, digits, '.', '_' and '-'")
    return root / "build" / "plans" / name / f"{host}.json"


def save_plan(path: Path, host: str, environment: str, plan: Mapping[str, Any]) -> None:
    """Write a plan. It holds no secret value, but all that runs on the host: for its owner alone."""
    about = {"format": FORMAT, "host": host, "environment": environment, "at": now()}
    write_file(path, json.dumps({**about, **plan}, indent=1, ensure_ascii=False), 0o600)


def read_plan(path: Path, host: str, environment: str) -> dict[str, Any]:
    """A plan as it was saved.

    Raises OpsError when there is none, it is damaged, or it is another host's.
    """
    try:
        plan = dict(json.loads(path.read_text(encoding="utf-8")))
        found = (plan["format"], plan["host"], plan["environment"])
    except FileNotFoundError as error:
        names = sorted(folder.name for folder in path.parent.parent.glob("*") if folder.is_dir())
        raise OpsError(
            f"there is no plan '{path.parent.name}' for {host}; there are: {', '.join(names) or 'none'}",
            do=f"make one with converge.yml --check --diff -e save_plan={path.parent.name}",
        ) from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise OpsError(f"cannot be read as a plan: {error!r}", where=str(path), do="make a new one") from error
    if found != (FORMAT, host, environment):
        raise OpsError(
            f"is a plan (format {found[0]}) of {found[1]} in {found[2]}, not of {host} in {environment}",
            where=str(path),
            do="make a new one",
        )
    return plan
