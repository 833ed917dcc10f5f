"""Tell a playbook as a list of sentences: the names of its tasks, those of its roles and included files among them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..module_utils.gateway.stack_file import read_document
from ..module_utils.model.errors import OpsError

_COLLECTION = "seisei.ops."
_TASK_FILES = ("import_tasks", "include_tasks")
_ROLES = ("import_role", "include_role")


@dataclass(frozen=True)
class Stage:
    """One play: the hosts it works on, its name, its steps in order, and what handlers do when something changed."""

    hosts: str
    title: str
    steps: tuple[str, ...]
    afterwards: tuple[str, ...] = ()


def read_outline(playbook: Path, root: Path) -> tuple[Stage, ...]:
    """The stages of ``playbook``, roles being looked up below ``root``.

    :raises OpsError: when a file is missing or a task has no name.
    """
    stages: list[Stage] = []
    for play in _entries(playbook, root):
        if imported := _action(play, ("import_playbook",)):
            stages.extend(read_outline(playbook.parent / str(imported), root))
        else:
            stages.append(_stage(play, playbook, root))
    return tuple(stages)


def _stage(play: dict[str, Any], playbook: Path, root: Path) -> Stage:
    roles = [_role_name(role) for role in play.get("roles") or []]
    steps: list[str] = list(_steps(play.get("pre_tasks"), playbook, root))
    afterwards: list[str] = []
    for role in roles:
        steps.extend(_role_steps(role, "main.yml", root))
        afterwards.extend(_handlers(role, root))
    for section in ("tasks", "post_tasks"):
        steps.extend(_steps(play.get(section), playbook, root))
        afterwards.extend(_handlers_of_included_roles(play.get(section), root))
    afterwards.extend(_steps(play.get("handlers"), playbook, root))
    title = _name(play, playbook, root)
    return Stage(str(play.get("hosts", "")), title, tuple(steps), tuple(dict.fromkeys(afterwards)))


def _steps(tasks: Iterable[dict[str, Any]] | None, file: Path, root: Path) -> Iterator[str]:
    for task in tasks or []:
        if "block" in task:
            yield from _steps(task["block"], file, root)
            yield from (f"If a step fails: {step}" for step in _steps(task.get("rescue"), file, root))
            yield from (f"In any case: {step}" for step in _steps(task.get("always"), file, root))
        elif included := _action(task, _TASK_FILES):
            path = file.parent / _argument(included, "file")
            # A file chosen while running cannot be told beforehand: then the sentence of the task has to do.
            yield from [_name(task, file, root)] if "{{" in path.name else _steps(_entries(path, root), path, root)
        elif role := _action(task, _ROLES):
            yield from _role_steps(_argument(role, "name"), f"{_tasks_from(role)}.yml", root)
        elif not _action(task, ("meta",)):
            yield _name(task, file, root)


def _role_steps(role: str, file: str, root: Path) -> Iterator[str]:
    path = root / "roles" / role.removeprefix(_COLLECTION) / "tasks" / file
    return _steps(_entries(path, root), path, root)


def _handlers(role: str, root: Path) -> list[str]:
    path = root / "roles" / role.removeprefix(_COLLECTION) / "handlers" / "main.yml"
    return list(_steps(_entries(path, root), path, root)) if path.is_file() else []


def _handlers_of_included_roles(tasks: Iterable[dict[str, Any]] | None, root: Path) -> Iterator[str]:
    for task in tasks or []:
        if role := _action(task, _ROLES):
            yield from _handlers(_argument(role, "name"), root)


def _action(task: dict[str, Any], names: Iterable[str]) -> Any:
    """The arguments of the task when its action is one of ``names``, short or fully qualified."""
    for name in names:
        for key in (name, f"ansible.builtin.{name}"):
            if key in task:
                return task[key]
    return None


def _argument(value: Any, key: str) -> str:
    return str(value[key]) if isinstance(value, dict) else str(value)


def _tasks_from(value: Any) -> str:
    return str(value.get("tasks_from", "main")).removesuffix(".yml") if isinstance(value, dict) else "main"


def _role_name(role: Any) -> str:
    return str(role.get("role") or role.get("name")) if isinstance(role, dict) else str(role)


def _name(task: dict[str, Any], file: Path, root: Path) -> str:
    if not task.get("name"):
        raise OpsError("a task has no name", where=str(file.relative_to(root)), do="name it as a full sentence")
    return str(task["name"])


def _entries(file: Path, root: Path) -> list[dict[str, Any]]:
    source = str(file.relative_to(root))
    if not file.is_file():
        raise OpsError("the file is missing", where=source, do="write it, or correct the name that leads to it")
    value = read_document(file, source).value
    return list(value) if isinstance(value, list) else []
