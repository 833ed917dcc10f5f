"""Rules about what stands where in the repository. Each takes a root and returns what breaks it, a sentence a line."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

LONGEST = 400
INCLUDERS = ("include_role", "import_role", "import_playbook")
# Words that hide a failure or a change, or that keep state where only a debugger finds it.
EVASIONS = ("ignore_errors", "set_fact")
HOME = re.compile(r"/(?:home|Users)/(?!\{)[a-z][\w.-]*/")


def lines(found: Iterable[str]) -> str:
    """What a failed assertion shows whole, where a list would be cut."""
    return "\n".join(found)


def tracked_files(root: Path) -> list[Path]:
    """The files git keeps, links and binaries left out."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True, text=True).stdout
    files = [root / name for name in listed.split("\0") if name]
    return [file for file in files if file.is_file() and not file.is_symlink()]


def long_files(files: Iterable[Path]) -> list[str]:
    """Python files too long to be one room."""
    counts = ((file, len(_text(file).splitlines())) for file in files if file.suffix == ".py")
    return [f"{file.name} has {count} lines, and {LONGEST} are the most" for file, count in counts if count >= LONGEST]


def machine_words(root: Path, files: Iterable[Path], hosts: Iterable[str]) -> list[str]:
    """Names of this machine, or of where it gets its packages, written into files that travel."""
    hosts = sorted(hosts)
    words = re.compile("|".join([rf"(?<![\w.-]){re.escape(host)}(?![\w-])" for host in hosts] + [_path_of(root)]))
    found = []
    for file in files:
        for number, line in enumerate(_text(file).splitlines(), start=1):
            match = words.search(line) or HOME.search(line)
            if match:
                found.append(f"{file.relative_to(root)}:{number} holds {match[0]}")
    return found


def _path_of(root: Path) -> str:
    return rf"{re.escape(str(root))}(?![\w-])"


def roles(root: Path) -> list[Path]:
    return sorted(path for path in (root / "roles").glob("*") if path.is_dir())


def incomplete_roles(root: Path) -> list[str]:
    """Roles without a specification of their variables, or that no scenario runs."""
    found = []
    for role in roles(root):
        if not (role / "meta" / "argument_specs.yml").is_file():
            found.append(f"roles/{role.name} has no meta/argument_specs.yml")
        if not (root / "molecule" / role.name / "molecule.yml").is_file():
            found.append(f"roles/{role.name} has no scenario molecule/{role.name}")
    return found


def roles_calling_roles(root: Path) -> list[str]:
    """Roles that reach into other roles, in their tasks or as dependencies: playbooks compose, roles do not."""
    found = []
    for role in roles(root):
        for file in sorted(role.rglob("*.yml")):
            place = file.relative_to(root)
            for entry in _mappings(_load(file)):
                used = [key for key in entry if _bare(key) in INCLUDERS]
                found += [f"{place} uses {key}" for key in used]
                if file.parts[-2:] == ("meta", "main.yml") and entry.get("dependencies"):
                    found.append(f"{place} has dependencies")
    return found


def evasions(root: Path) -> list[str]:
    """Tasks that swallow failures, deny changes, or keep state in facts."""
    found = []
    for folder in ("playbooks", "roles"):
        for file in sorted((root / folder).rglob("*.yml")):
            for entry in _mappings(_load(file)):
                used = [key for key in entry if _bare(key) in EVASIONS]
                used += [key for key in ("changed_when", "failed_when") if entry.get(key) is False]
                found += [f"{file.relative_to(root)} uses {key}" for key in used]
    return found


def loose_workflows(root: Path) -> list[str]:
    """Workflows that may write, or that take an action at whatever version it has today."""
    found = []
    for file in sorted((root / ".github" / "workflows").glob("*.yml")):
        workflow = _load(file)
        if workflow.get("permissions") != {"contents": "read"}:
            found.append(f"{file.name} asks for more than to read")
        for entry in _mappings(workflow):
            uses = str(entry.get("uses", "@v0"))
            if not re.search(r"@v\d+(\.\d+)*$", uses):
                found.append(f"{file.name} takes {uses} without a version")
    return found


def _text(file: Path) -> str:
    data = file.read_bytes()
    return "" if b"\0" in data else data.decode("utf-8", errors="replace")


class _Loader(yaml.SafeLoader):
    """Reads files of Ansible: its own tags are of no interest here."""


_Loader.add_multi_constructor("!", lambda *_: None)


def _load(file: Path) -> Any:
    return yaml.load(file.read_text(encoding="utf-8"), _Loader)


def _mappings(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping of a document, however deep."""
    if isinstance(value, dict):
        yield value
    for entry in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _mappings(entry)


def _bare(key: object) -> str:
    return str(key).rsplit(".", 1)[-1]
