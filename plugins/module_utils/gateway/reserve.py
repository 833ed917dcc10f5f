"""A little of the disk that is kept back, so that a full one keeps nobody from going back to an earlier release."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ..model.errors import OpsError

_Written = TypeVar("_Written")

SIZE = 4 << 20  # bytes: a new version of our code is two million, a transaction writes some thousand
_LEAST = 1 << 20  # bytes free, with which a transaction may begin
_FULL = (errno.ENOSPC, errno.EDQUOT)


def with_reserve(root: Path, write: Callable[[], _Written], *, ahead: bool = False) -> _Written:
    """Do it, and where the disk is full, do it again with what was kept back. ``ahead`` asks before whether it will be.

    Raises OpsError when the disk refuses all the same.
    """
    if ahead and _free(root) < _LEAST:
        _spend(root)
    try:
        return write()
    except OpsError as error:
        if not (isinstance(error.__cause__, OSError) and error.__cause__.errno in _FULL and _spend(root)):
            raise
        return write()


def renew(root: Path) -> None:
    """Keep it back again, where it was spent and there is room. Never raises: the next one tries again."""
    path = _path(root)
    if path.exists() or _free(root) < 2 * SIZE:
        return
    partial = path.with_suffix(".part")
    with suppress(OSError):
        try:
            with partial.open("wb") as handle:
                os.posix_fallocate(handle.fileno(), 0, SIZE)
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)


def _spend(root: Path) -> bool:
    try:
        _path(root).unlink()
    except OSError:  # spent already, or never kept
        return False
    return True


def _free(root: Path) -> int:
    try:
        found = os.statvfs(root)
    except OSError:  # nothing was ever written there
        return 0
    return found.f_bfree * found.f_frsize


def _path(root: Path) -> Path:
    return root / "reserve"
