"""Read files as a containerised application sees them: in its mount namespace, as its user."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from ..model.connection import FileSeen
from .namespace import credentials_of, run_inside

_LONGEST = 1 << 20
_DEADLINE_S = 5.0


def read_files(pid: int, paths: Iterable[str]) -> dict[str, FileSeen]:
    """The files as the process ``pid`` would read them. Raises OpsError when the process is gone.

    The child that reads enters the container's own tree, so that no link in it can lead to a file of the host, and
    takes on the application's user, so that what it may not read is seen as such.
    """
    wanted = tuple(paths)

    def work() -> dict[str, dict[str, str]]:
        return {path: asdict(_read(path)) for path in wanted}

    seen = run_inside(pid, ("mnt",), work, deadline_s=_DEADLINE_S, act_as=credentials_of(pid))
    return {path: FileSeen(**found) for path, found in seen.items()}


def read_mounted_files(mounts: Mapping[str, str], paths: Iterable[str]) -> dict[str, FileSeen]:
    """The same for a container that does not run: only files that are mounted into it are found, as root sees them.

    ``mounts`` maps places inside to places on the host.
    """
    return {path: _read_mounted(mounts, path) for path in paths}


def _read_mounted(mounts: Mapping[str, str], path: str) -> FileSeen:
    for target in sorted(mounts, key=len, reverse=True):
        if path == target:
            return _read(mounts[target])
        if path.startswith(target.rstrip("/") + "/"):
            source = Path(mounts[target])
            inside = (source / path[len(target) :].lstrip("/")).resolve()
            # What a container wrote into its volume may point anywhere.
            return _read(str(inside)) if inside.is_relative_to(source.resolve()) else FileSeen("not_a_file")
    return FileSeen("missing", detail="not mounted into the container, which does not run")


def _read(path: str) -> FileSeen:
    try:
        # Not blocking: what is named may be a pipe.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return FileSeen("missing")
    except OSError as error:
        return FileSeen("unreadable", detail=(error.strerror or "").lower())
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return FileSeen("not_a_file")
        return FileSeen("ok", os.read(handle, _LONGEST).decode("utf-8", "replace"))
    finally:
        os.close(handle)
