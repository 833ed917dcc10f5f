"""Writing private files so that writing the same twice changes nothing."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def make_private_directory(path: Path) -> Path:
    """Make ``path`` and its missing parents readable by their owner alone; return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def write_private(path: Path, content: str | bytes, mode: int = 0o600) -> bool:
    """Put ``content`` at ``path`` by rename. Return whether anything changed."""
    data = content.encode() if isinstance(content, str) else content
    if path.exists() and path.read_bytes() == data and (path.stat().st_mode & 0o777) == mode:
        return False
    make_private_directory(path.parent)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
    partial.chmod(mode)
    partial.rename(path)
    return True


def is_content(path: Path) -> bool:
    """Whether a file of a recipe can change what is built: neither a page to read nor something compiled by the way."""
    return "__pycache__" not in path.parts and path.suffix != ".md"


def digest_of_tree(directory: Path) -> str:
    """SHA-256 over names, modes and contents of every file below ``directory`` that `is_content` counts."""
    total = hashlib.sha256()
    for path in sorted(p for p in directory.rglob("*") if p.is_file() and is_content(p)):
        total.update(f"{path.relative_to(directory)}\0{path.stat().st_mode & 0o777:o}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
