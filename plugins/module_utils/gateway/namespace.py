"""Run a function in a container's namespaces, in a forked child, and bring its answer back.

A fork needs no helper program on the host or in the image, and nothing on a command line: settings and passwords are
already in the child's memory. The child enters the namespaces by itself and never comes back.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..model.errors import OpsError

_FLAGS = {"net": "CLONE_NEWNET", "mnt": "CLONE_NEWNS"}


@dataclass(frozen=True)
class Credentials:
    """User and groups to act as, numeric."""

    user: int
    group: int
    groups: tuple[int, ...]


def credentials_of(pid: int) -> Credentials:
    """The effective user and groups of a process. Raises OpsError when it is gone."""
    fields: dict[str, list[int]] = {}
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise _gone(pid) from error
    for line in status.splitlines():
        key, _, rest = line.partition(":")
        if key in ("Uid", "Gid", "Groups"):
            fields[key] = [int(number) for number in rest.split()]
    return Credentials(fields["Uid"][1], fields["Gid"][1], tuple(fields.get("Groups", ())))


def run_inside(
    pid: int,
    kinds: Sequence[str],
    work: Callable[[], Any],
    *,
    deadline_s: float,
    act_as: Credentials | None = None,
) -> Any:
    """Answer of ``work`` (JSON values) from inside the namespaces ``kinds`` ("net", "mnt") of process ``pid``.

    ``pid`` 0 stays in the host's own namespaces. Raises OpsError when the process is gone, entering is refused, the
    work raises, or the deadline passes.
    """
    doors = _open_doors(pid, kinds)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # No code of the parent may run here after this point: neither its exits nor its buffers.
        os.close(reader)
        _answer(writer, doors, work, act_as)
        os._exit(0)
    os.close(writer)
    for _, door in doors:
        os.close(door)
    try:
        text = _read(reader, time.monotonic() + deadline_s)
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    if text is None:
        raise OpsError(
            f"the probe gave no answer within {deadline_s:g} s",
            where=f"process {pid}" if pid else "host",
            do="run it again, and look at the load of the host if it happens twice",
        )
    answer = json.loads(text or b'{"error": "it ended without a word"}')
    if "error" in answer:
        raise OpsError(
            f"the probe failed: {answer['error']}",
            where=f"process {pid}" if pid else "host",
            do="run it again; a container that restarts all the time is told by `docker ps`",
        )
    return answer["value"]


def _open_doors(pid: int, kinds: Sequence[str]) -> list[tuple[str, int]]:
    if not pid:
        return []
    try:
        return [(kind, os.open(f"/proc/{pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)) for kind in kinds]
    except FileNotFoundError as error:
        raise _gone(pid) from error
    except PermissionError as error:
        raise OpsError(
            "the namespaces of a container may not be entered",
            where=f"process {pid}",
            do="run the task as root (become: true)",
        ) from error


def _answer(writer: int, doors: list[tuple[str, int]], work: Callable[[], Any], act_as: Credentials | None) -> None:
    try:
        for kind, door in doors:
            os.setns(door, getattr(os, _FLAGS[kind]))
        if act_as and os.geteuid() == 0:
            os.setgroups(list(act_as.groups))
            os.setgid(act_as.group)
            os.setuid(act_as.user)
        answer = {"value": work()}
    except BaseException as error:  # noqa: BLE001  every way to end has to reach the parent as text
        answer = {"error": f"{type(error).__name__}: {error}"}
    data = json.dumps(answer).encode()
    while data:
        data = data[os.write(writer, data) :]


def _read(reader: int, deadline: float) -> bytes | None:
    parts: list[bytes] = []
    while (left := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select([reader], [], [], left)
        if not ready:
            return None
        part = os.read(reader, 65536)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return None


def _gone(pid: int) -> OpsError:
    return OpsError(
        "the container ended while it was looked at",
        where=f"process {pid}",
        do="run it again; if it restarts all the time, stop it first: its settings can be read when it stands still",
    )
