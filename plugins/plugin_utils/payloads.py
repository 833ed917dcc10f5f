"""Payloads of our modules, kept from run to run.

What Ansible packs for a host is made of files alone, takes longer than the module does with nothing to change, and is
forgotten at the end of each run. What is kept is found by everything that it was made of, so it is never an old one.
Where Ansible keeps payloads within a run is its own affair: should that change, it simply packs them itself.

What is kept gets bytecode beside its sources: a host with the same Python as the controller need not compile them,
which is half of what a module there takes with nothing to change. Another Python passes over what is not its own.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import marshal
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path
from pickle import UnpicklingError

from ansible import constants
from ansible.executor import module_common
from ansible.release import __version__

_MOST = 4  # of one module: people go back and forth between branches
# A file that cannot be read or written; and Ansible's own form of a payload, which another version may have otherwise.
_OF_ANSIBLE = (OSError, EOFError, UnpicklingError, AttributeError, TypeError)
_FAMILY = "ansible_collections.seisei.ops.plugins.modules"


@contextmanager
def kept(module: str, root: Path) -> Iterator[None]:
    """Within the block Ansible finds the payload of an earlier run, or makes one that is kept for the next.

    ``root`` is the checkout; payloads lie in ``build/payloads``. A disk that refuses costs the time, not the run.
    """
    here = Path(constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache"
    there = root / "build" / "payloads" / module
    kept_as = there / fingerprint(module, root)
    with contextlib.suppress(*_OF_ANSIBLE):
        _offer(kept_as, here, module)
    yield
    if not kept_as.exists():
        with contextlib.suppress(*_OF_ANSIBLE):
            _keep(here, kept_as, module)


def fingerprint(module: str, root: Path) -> str:
    """Of all that the payload of a module is made of: who packs it, and our files; Ansible's own go by its version."""
    mark = hashlib.sha256(f"{__version__} {sys.version} {root}".encode())
    plugins = root / "plugins"
    for path in (plugins / "modules" / f"{module}.py", *sorted((plugins / "module_utils").rglob("*.py"))):
        content = path.read_bytes()
        mark.update(f"\n{path} {len(content)}\n".encode() + content)
    return mark.hexdigest()


def _offer(kept_as: Path, here: Path, module: str) -> None:
    """Where Ansible looks; what cannot be read (a disk was full, a machine lost power) is not offered."""
    for path in _payloads(kept_as, module):
        packed = module_common._CachedModule.load(str(path))
        here.mkdir(exist_ok=True)
        with _whole(here / path.name) as partial:
            packed.dump(str(partial))


def _keep(here: Path, kept_as: Path, module: str) -> None:
    """With bytecode added; older ones make room."""
    for path in _payloads(here, module):
        packed = module_common._CachedModule.load(str(path))
        data = base64.b64encode(with_bytecode(base64.b64decode(packed.zip_data)))
        kept_as.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _whole(kept_as / path.name) as partial:
            replace(packed, zip_data=data).dump(str(partial))
    for old in sorted(kept_as.parent.iterdir(), key=_age)[_MOST:]:
        shutil.rmtree(old, ignore_errors=True)


def _payloads(folder: Path, module: str) -> Iterator[Path]:
    """Those made without Ansible's extensions (debuggers, coverage)."""
    return folder.glob(f"{_FAMILY}.{module}-*-none")


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A file to write that becomes ``path`` when it is whole: other workers and runs look at the same time."""
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    yield partial
    partial.rename(path)


def with_bytecode(archive: bytes) -> bytes:
    """The same archive of sources with bytecode, which is taken on trust: it was made of the source beside it."""
    whole = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as given, zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as made:
        for name in given.namelist():
            if name.endswith(".pyc"):  # it had bytecode already: it was offered by an earlier task, and then taken away
                continue
            source = given.read(name)
            made.writestr(name, source)
            if name.endswith(".py"):
                made.writestr(f"{name}c", _bytecode(source, name))
    return whole.getvalue()


def _bytecode(source: bytes, name: str) -> bytes:
    """As in a .pyc that says by its flags that it goes by a hash which is not to be checked (PEP 552)."""
    code = marshal.dumps(compile(source, name, "exec", dont_inherit=True))
    return MAGIC_NUMBER + (1).to_bytes(4, "little") + source_hash(source) + code


def _age(path: Path) -> float:
    return -path.stat().st_mtime
