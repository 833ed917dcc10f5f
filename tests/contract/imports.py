"""The direction of dependency, read from the imports themselves."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

# What speaks to the world outside the process. `socket` and `subprocess` included: a gateway is where those live.
WORLD = (
    "aiohttp", "asyncio.subprocess", "boto3", "botocore", "docker", "ftplib", "http.client", "http.server", "httpx",
    "multiprocessing", "paramiko", "psycopg", "psycopg2", "psycopg_pool", "redis", "requests", "smtplib", "socket",
    "socketserver", "subprocess", "telnetlib", "urllib.request", "urllib3", "xmlrpc",
)  # fmt: skip
WORLDLY_CALLS = ("system", "popen", "execv", "execve", "execvp", "execvpe", "spawnv", "spawnvp", "posix_spawn")
PACKAGES = ("plugins.", "ansible_collections.seisei.ops.plugins.")

# Each room of module_utils, and the rooms it may import from. The outer rooms may use all of these.
ROOMS: dict[str, tuple[str, ...]] = {
    "model": ("model",),
    "plan": ("model", "plan"),
    "gateway": ("model", "gateway"),
}
STANDARD_LIBRARY_ONLY = ("model", "plan")
DOORWAYS = ("plugins.modules", "plugins.action", "plugins.callback", "plugins.lookup", "plugins.filter")


def violations(root: Path) -> list[str]:
    """Every import under ``root/plugins`` that points the wrong way, as ``file:line: reason``."""
    found = []
    for file in sorted((root / "plugins").rglob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        name = ".".join(file.relative_to(root).with_suffix("").parts)
        place = file.relative_to(root)
        found += [f"{place}:{line}: {reason}" for line, reason in _reasons(name, tree)]
    return found


def _reasons(name: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    room = _room(name)
    for line, target in _imports(name, tree):
        yield from ((line, reason) for reason in _against(room, target))
    if room != "gateway":
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and _is_worldly_call(node):
                yield node.lineno, "only gateways start programs"


def _against(room: str, target: str) -> Iterator[str]:
    if target.startswith(DOORWAYS):
        yield f"nobody imports a doorway: {target}"
    if room != "gateway" and _within(target, WORLD):
        yield f"only gateways may import {target}"
    if room in STANDARD_LIBRARY_ONLY and not target.startswith("plugins.") and not _is_standard(target):
        yield f"{room} imports the standard library only, not {target}"
    other = _room(target)
    if room in ROOMS and target.startswith("plugins.") and other not in ROOMS[room]:
        yield f"{room} may not import {target}"


def _room(name: str) -> str:
    """``plugins.module_utils.model.stack`` is in ``model``; ``plugins.module_utils.apply`` is a room of its own."""
    parts = name.split(".")
    return parts[2] if parts[:2] == ["plugins", "module_utils"] and len(parts) > 2 else ".".join(parts[:2])


def _imports(name: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every imported name in full: ``from ..model import errors`` gives ``plugins.module_utils.model.errors``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, _own(alias.name)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(name.split(".")[: -node.level]) if node.level else ""
            source = ".".join(part for part in (base, node.module or "") if part)
            yield from ((node.lineno, _own(f"{source}.{alias.name}")) for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in ("__import__", "import_module") and node.args:
            argument = node.args[0]
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                yield node.lineno, _own(argument.value)


def _own(target: str) -> str:
    """The name as pytest sees it, whichever way it was written."""
    prefix = next((package for package in PACKAGES if target.startswith(package)), "")
    return f"plugins.{target.removeprefix(prefix)}" if prefix else target


def _called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_worldly_call(node: ast.Call) -> bool:
    function = node.func
    if not isinstance(function, ast.Attribute) or not isinstance(function.value, ast.Name):
        return False
    return function.value.id == "os" and function.attr in WORLDLY_CALLS


def _within(target: str, names: tuple[str, ...]) -> bool:
    return any(target == name or target.startswith(f"{name}.") for name in names)


def _is_standard(target: str) -> bool:
    return target.split(".", maxsplit=1)[0] in sys.stdlib_module_names
