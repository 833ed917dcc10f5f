"""Established connections inside a container's network namespace: what still has to end before it may stop."""

from __future__ import annotations

import ipaddress
import math
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ..model.errors import OpsError

_PROC = Path("/proc")
_ESTABLISHED = "01"
_GONE_BY = ("06", "07")  # TIME_WAIT and CLOSE: what remembers a connection, and is none
# The kernel goes through its whole table of connections for each look: some ms of one processor.
_POLL_SECONDS = 0.1

_LOOK_BEHIND_SECONDS = 1.0
_End = tuple[str, int]
_Pair = tuple[_End, _End]

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


def wait_drained(
    pid: int, ports: Collection[int], limit: float, neighbours: Mapping[str, int] | None = None
) -> DrainResult:
    """Wait until no connection to these local ports is established in the network namespace of a process.

    ``limit`` seconds at most: with 0 they are counted. A process that ends has drained. The edge keeps a connection it
    no longer needs for half a second (``plan.edge.IDLE_SECONDS``), so that long after a switch each one counted carries
    a request, a web socket, or belongs to somebody who came past the edge. ``neighbours`` are those whose own tables
    can be read, by address the id of a process of theirs: see :func:`_dead`.
    Raises OpsError when the process may not be looked at.
    """
    start = time.monotonic()
    first: int | None = None
    empty_since: float | None = None
    dead: set[_Pair] = set()
    looked = -math.inf
    while True:
        try:
            found = _open(pid, ports)
            if found and time.monotonic() - looked >= _LOOK_BEHIND_SECONDS:
                dead, looked = _dead(found, neighbours or {}), time.monotonic()
        except _Gone:
            return DrainResult(time.monotonic() - start, 0, first or 0)
        left = len(found - dead)
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


def _open(pid: int, ports: Collection[int]) -> set[_Pair]:
    """The established connections to these local ports, as pairs of this end and the other."""
    return {(local, remote) for local, remote, state in _table(pid) if state == _ESTABLISHED and local[1] in ports}


def _dead(found: Collection[_Pair], neighbours: Mapping[str, int]) -> set[_Pair]:
    """Those of a neighbour who does not have them: where more was asked for than could be accepted, a connection that
    was given up at the other end stays established at this one, and nobody will ever close it."""
    dead = set()
    for address, pid in neighbours.items():
        suspects = {one for one in found if one[1][0] == address}
        if suspects:
            with suppress(OpsError):  # who cannot be asked is not accused
                has = {(remote, local) for local, remote, state in _table(pid) if state not in _GONE_BY}
                dead |= suspects - has
    return dead


def _table(pid: int) -> list[tuple[_End, _End, str]]:
    """Every connection in the network namespace of a process: this end, the other, and its state in hexadecimal."""
    try:
        return [_row(line) for name in ("tcp", "tcp6") for line in _lines(_PROC / str(pid) / "net" / name)]
    except (FileNotFoundError, ProcessLookupError) as error:
        raise _Gone(f"process {pid} has ended") from error
    except OSError as error:
        raise OpsError(
            f"cannot read the connections of process {pid}: {error.strerror}",
            where="host",
            do="run as root on the host that runs the container",
        ) from error


def _lines(table: Path) -> list[str]:
    try:
        return table.read_text(encoding="ascii").splitlines()[1:]
    except FileNotFoundError:
        # A kernel without IPv6 has no tcp6; without the process there is no directory at all.
        if table.parent.is_dir():
            return []
        raise


def _row(line: str) -> tuple[_End, _End, str]:
    # 0: 0100007F:1F90 0100007F:C350 01 …: slot, local, remote, state; addresses and ports in hexadecimal.
    _, local, remote, state, *_ = line.split()
    return _end(local), _end(remote), state


def _end(text: str) -> _End:
    """Address and port. The kernel writes each 32 bits of an address as a number of this machine."""
    address, _, port = text.rpartition(":")
    words = [bytes.fromhex(address[start : start + 8]) for start in range(0, len(address), 8)]
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    found = ipaddress.ip_address(packed)
    return str(getattr(found, "ipv4_mapped", None) or found), int(port, 16)


def wait_all_drained(
    pids: Iterable[int], ports: Collection[int], limit: float, neighbours: Mapping[str, int] | None = None
) -> DrainResult:
    """:func:`wait_drained` of several containers under one limit, as one result.

    One after the other costs nothing: while one is waited for, the others drain as well.
    """
    start = time.monotonic()
    results = [wait_drained(pid, ports, max(0.0, start + limit - time.monotonic()), neighbours) for pid in pids]
    return replace(total(results), seconds=time.monotonic() - start)


def total(counts: Iterable[DrainResult]) -> DrainResult:
    """Several drains added up; ``seconds`` is the longest of them."""
    results = list(counts)
    return DrainResult(
        max((result.seconds for result in results), default=0.0),
        sum(result.left for result in results),
        sum(result.first for result in results),
    )
