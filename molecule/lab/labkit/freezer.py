"""Thaw what a host of the lab keeps paused: with version 1 of control groups, what is frozen cannot be killed."""

from __future__ import annotations

from pathlib import Path

# An engine in a host of the lab makes its groups beside those of the machine's own engine.
FREEZER = Path("/sys/fs/cgroup/freezer/docker")
PROC = Path("/proc")


def thaw(pid: int, *, freezer: Path = FREEZER, proc: Path = PROC) -> None:
    """Thaw every group with a process that descends from ``pid``. Nothing is there to do with version 2.

    Raises OSError when the machine does not allow it.
    """
    for state in freezer.glob("*/freezer.state"):
        frozen = state.read_text().strip() != "THAWED"
        if frozen and any(_descends(int(one), pid, proc) for one in _members(state)):
            state.write_text("THAWED")


def _members(state: Path) -> list[str]:
    return state.with_name("cgroup.procs").read_text().split()


def _descends(pid: int, from_pid: int, proc: Path) -> bool:
    while pid > 1 and pid != from_pid:
        try:
            # 4711 (a name) S 42 …: the parent stands second after the name, which may hold anything.
            pid = int((proc / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            return False
    return pid == from_pid
