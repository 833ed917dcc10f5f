"""Established connections inside a container's network namespace: what still has to end before it may stop."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from ..model.errors import OpsError

_PROC = Path("/proc")
_ESTABLISHED = "01"
# The kernel goes through its whole table of connections for each look: some ms of one processor.
_POLL_SECONDS = 0.1

# Zero must hold this long: a request that entered the edge just before the switch may still be dialling.
_SETTLE_SECONDS = 0.25


@dataclass(frozen=True)
class DrainResult:
    """How a drain ended: ``seconds`` it took, ``first`` connections at its start, ``left`` connections at its end.

    ``left`` is not 0 only when the limit was reached; those are what stopping the container cuts.
    """

    seconds: float
    left: int
    first: int = 0


def established(pid: int, ports: Collection[int]) -> int:
    """How many connections to these local ports are established in the network namespace of a process.

    The edge keeps a connection it no longer needs for half a second (``plan.edge.IDLE_SECONDS``), so that long after a
    switch each one counted carries a request, a web socket, or belongs to somebody who came past the edge.
    Raises OpsError when the process is gone or may not be looked at.
    """
    try:
        return sum(_count(_PROC / str(pid) / "net" / name, ports) for name in ("tcp", "tcp6"))
    except (FileNotFoundError, ProcessLookupError) as error:
        raise _Gone(pid) from error
    except OSError as error:
        raise OpsError(
            f"cannot read the connections of process {pid}: {error.strerror}",
            where="host",
            do="run as root on the host that runs the container",
        ) from error


def wait_drained(pid: int, ports: Collection[int], limit: float) -> DrainResult:
    """Wait until no connection to these ports is left, ``limit`` seconds at most. A process that ends has drained."""
    start = time.monotonic()
    first: int | None = None
    empty_since: float | None = None
    while True:
        try:
            left = established(pid, ports)
        except _Gone:
            return DrainResult(time.monotonic() - start, 0, first or 0)
        now = time.monotonic()
        first = left if first is None else first
        empty_since = None if left else now if empty_since is None else empty_since
        if empty_since is not None and now - empty_since >= _SETTLE_SECONDS:
            return DrainResult(now - start, 0, first)
        if now - start >= limit:
            return DrainResult(now - start, left, first)
        time.sleep(_POLL_SECONDS)


class _Gone(OpsError):
    """The process has ended, and its connections with it."""

    def __init__(self, pid: int) -> None:
        super().__init__(f"process {pid} has ended", where="host", do="look at the container's state")


def _count(table: Path, ports: Collection[int]) -> int:
    try:
        lines = table.read_text(encoding="ascii").splitlines()[1:]
    except FileNotFoundError:
        # A kernel without IPv6 has no tcp6; without the process there is no directory at all.
        if table.parent.is_dir():
            return 0
        raise
    return sum(_is_established(line, ports) for line in lines)


def _is_established(line: str, ports: Collection[int]) -> bool:
    # 0: 0100007F:1F90 0100007F:C350 01 …: slot, local, remote, state; addresses and ports in hexadecimal.
    _, local, _, state, *_ = line.split()
    return state == _ESTABLISHED and int(local.rpartition(":")[2], 16) in ports


def wait_all_drained(pids: Iterable[int], ports: Collection[int], limit: float) -> DrainResult:
    """:func:`wait_drained` of several containers under one limit, as one result.

    One after the other costs nothing: while one is waited for, the others drain as well.
    """
    start = time.monotonic()
    results = [wait_drained(pid, ports, max(0.0, start + limit - time.monotonic())) for pid in pids]
    return replace(total(results), seconds=time.monotonic() - start)


def total(counts: Iterable[DrainResult]) -> DrainResult:
    """Several drains added up; ``seconds`` is the longest of them."""
    results = list(counts)
    return DrainResult(
        max((result.seconds for result in results), default=0.0),
        sum(result.left for result in results),
        sum(result.first for result in results),
    )
