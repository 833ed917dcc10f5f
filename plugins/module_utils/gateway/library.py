"""The code that this host keeps of us, so that it can go on when the controller and its payload are gone.

A module arrives as an archive in a temporary directory. What of it is ours is kept as an archive of its own, named
after its content, which Python runs as a program: ``python3 <archive> tend``. ``current`` leads to the one used last.
"""

from __future__ import annotations

import hashlib
import io
import marshal
import os
import zipfile
from collections.abc import Collection
from importlib.util import MAGIC_NUMBER, source_hash
from pathlib import Path

from ..model.errors import OpsError
from .host_state import ROOT, writing
from .reserve import with_reserve

LIBRARY = ROOT / "lib"
CURRENT = "current"
_OURS = "ansible_collections/"
_PROGRAM_FILE = "ansible_collections/seisei/ops/plugins/module_utils/unit"
_PROGRAM = f"from {_PROGRAM_FILE.replace('/', '.')} import main\nraise SystemExit(main())\n"
_MOST = 4  # beside those that something under way runs by


def running_archive() -> Path:
    """The archive that this code was loaded from. Raises OpsError when it was loaded from plain files."""
    archive = getattr(globals().get("__loader__"), "archive", "")
    if not archive:
        raise OpsError("this code does not run from an archive, so there is none to keep", do="run it as a module")
    return Path(archive)


def keep(archive: Path, folder: Path = LIBRARY, in_use: Collection[str] = ()) -> Path:
    """Keep what of an archive is ours, and have ``current`` lead to it; ``in_use`` are names that must stay.

    Raises OpsError when the disk refuses.
    """
    if archive.parent == folder:  # we run by it already
        return archive
    sources = _sources(archive)
    if f"{_PROGRAM_FILE}.py" not in sources:
        raise OpsError("this archive has not the program in it that goes on without a controller", where=str(archive))
    kept = folder / f"{_mark(sources)}.zip"
    with_reserve(folder.parent, lambda: _keep(kept, sources, in_use))
    return kept


def _keep(kept: Path, sources: dict[str, bytes], in_use: Collection[str]) -> None:
    folder = kept.parent
    with writing(kept):
        folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        if kept.exists():
            os.utime(kept)
        else:
            _write_synced(kept, _packed(sources))
        _lead(folder / CURRENT, kept.name)
        _prune(folder, {kept.name, *in_use})


def _sources(archive: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as given:
        return {name: given.read(name) for name in given.namelist() if name.startswith(_OURS) and name.endswith(".py")}


def _mark(sources: dict[str, bytes]) -> str:
    mark = hashlib.sha256(MAGIC_NUMBER + _PROGRAM.encode())
    for name, source in sorted(sources.items()):
        mark.update(f"\n{name} {len(source)}\n".encode() + source)
    return mark.hexdigest()[:32]


def _packed(sources: dict[str, bytes]) -> bytes:
    """Not compressed, and with bytecode that is taken on trust (PEP 552): it starts in a third of the time."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as made:
        for name, source in {**sources, "__main__.py": _PROGRAM.encode()}.items():
            made.writestr(name, source)
            code = marshal.dumps(compile(source, name, "exec", dont_inherit=True))
            made.writestr(f"{name}c", MAGIC_NUMBER + (1).to_bytes(4, "little") + source_hash(source) + code)
    return whole.getvalue()


def _write_synced(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        partial.rename(path)
    except OSError:  # on a full disk half an archive must not take what is left
        partial.unlink(missing_ok=True)
        raise


def _lead(link: Path, name: str) -> None:
    if link.is_symlink() and str(link.readlink()) == name:
        return
    partial = link.with_name(f".{link.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    partial.symlink_to(name)
    partial.rename(link)
    folder = os.open(link.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _prune(folder: Path, kept: Collection[str]) -> None:
    found = sorted(folder.glob("*.zip"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in [path for path in found if path.name not in kept][_MOST:]:
        path.unlink(missing_ok=True)
