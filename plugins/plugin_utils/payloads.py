"""Payloads of our modules, kept from run to run.

What Ansible packs for a host is made of files alone, takes longer than the module does with nothing to change, and is
forgotten at the end of each run. What is kept is found by everything that it was made of, so it is never an old one.
Where Ansible keeps payloads within a run is its own affair: should that change, it simply packs them itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ansible import constants
from ansible.release import __version__

_MOST = 4  # of one module: people go back and forth between branches
_FAMILY = "ansible_collections.seisei.ops.plugins.modules"


@contextmanager
def kept(module: str, root: Path) -> Iterator[None]:
    """Within the block Ansible finds the payload of an earlier run, or makes one that is kept for the next.

    ``root`` is the checkout; payloads lie in ``build/payloads``. A disk that refuses costs the time, not the run.
    """
    here = Path(constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache"
    there = root / "build" / "payloads" / module
    kept_as = there / fingerprint(module, root)
    with contextlib.suppress(OSError):
        _copy(kept_as, here, module)
    yield
    if not kept_as.exists():
        with contextlib.suppress(OSError):
            _copy(here, kept_as, module)
            for old in sorted(there.iterdir(), key=_age)[_MOST:]:
                shutil.rmtree(old, ignore_errors=True)


def fingerprint(module: str, root: Path) -> str:
    """Of all that the payload of a module is made of: who packs it, and our files; Ansible's own go by its version."""
    mark = hashlib.sha256(f"{__version__} {sys.version} {root}".encode())
    plugins = root / "plugins"
    for path in (plugins / "modules" / f"{module}.py", *sorted((plugins / "module_utils").rglob("*.py"))):
        content = path.read_bytes()
        mark.update(f"\n{path} {len(content)}\n".encode() + content)
    return mark.hexdigest()


def _age(path: Path) -> float:
    return -path.stat().st_mtime


def _copy(source: Path, target: Path, module: str) -> None:
    """Each file whole or not at all: others may be looking."""
    for path in source.glob(f"{_FAMILY}.{module}-*"):
        if path.suffix == ".lock" or path.name.endswith("-part") or (target / path.name).exists():
            continue
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = target / f".{path.name}.{os.getpid()}"
        shutil.copyfile(path, partial)
        partial.rename(target / path.name)
