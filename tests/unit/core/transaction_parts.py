"""A host of simulated releases, for transactions: real state, files and journal, a simulated runtime."""

# ruff: noqa: ARG002 - what a runtime is asked is given by its interface
from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from plugins.module_utils.gateway.edge import EdgeFiles
from plugins.module_utils.gateway.engine import Engine, TaskResult
from plugins.module_utils.gateway.host_secrets import HostSecrets
from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.gateway.sockets import DrainResult
from plugins.module_utils.hands import Host
from plugins.module_utils.model.receipt import Receipt
from plugins.module_utils.model.release import Release, StackState
from plugins.module_utils.model.switching import Notice
from plugins.module_utils.transaction import Transaction

TREE = {
    "name": "job",
    "services": {"web": {"image": "r/job:${RELEASE}", "healthcheck": {"disable": True}}},
    "x-ops": {"releases": ["web"]},
}


@dataclass
class SimulatedRuntime:
    """Releases that run in a dictionary; ``breaks`` maps a step to what it raises."""

    running: dict[int, bool] = field(default_factory=dict)
    breaks: dict[str, BaseException] = field(default_factory=dict)
    noticed: list[int] = field(default_factory=list)
    open_in: dict[int, int] = field(default_factory=dict)
    put: dict[int, str] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    said: str = ""
    free: int = 1 << 40
    task_ends: tuple[int, str] = (0, "all applied")
    tasks: list[tuple[str, ...]] = field(default_factory=list)

    def _reach(self, step: str) -> None:
        if step in self.breaks:
            raise self.breaks[step]

    def room(self) -> Mapping[str, int]:
        return {"/srv/engine": self.free}

    def fetch(self, release: Release) -> None:
        self._reach("fetch")

    def start(self, release: Release) -> None:
        self.running[release.number] = True
        self._reach("start")

    def wait_ready(self, release: Release, limit_s: float) -> float:
        self._reach("wait_ready")
        return 0.0

    def addresses(self, release: Release) -> Mapping[str, str]:
        self._reach("addresses")
        return {}

    def probe_address(self, release: Release, service: str) -> str:
        return "127.0.0.1"

    def drain(self, release: Release, limit_s: float) -> DrainResult:
        self._reach("drain")
        return DrainResult(limit_s, self.open_in.get(release.number, 0), self.open_in.get(release.number, 0))

    def give_notice(self, release: Release, notice: Notice) -> None:
        self._reach("give_notice")
        self.noticed.append(release.number)

    def stand_by(self, release: Release, how: str) -> None:
        self.running[release.number] = False
        self.put[release.number] = how
        self._reach("stand_by")

    def discard(self, release: Release) -> None:
        self._reach("discard")
        self.running.pop(release.number, None)

    def last_words(self, release: Release) -> str:
        return f"release {release.number} fell over" if release.number in self.running else ""

    def present(self, stack: str) -> frozenset[int]:
        return frozenset(self.running)

    def is_up(self, release: Release) -> bool:
        return release.number in self.running

    def images(self) -> tuple[frozenset[str], frozenset[str]]:
        return frozenset(self.held), frozenset()

    def let_go(self, image: str) -> bool:
        self.held.remove(image)
        return True

    def run_within(self, release: Release, service: str, command: tuple[str, ...], limit_s: float) -> str:
        self._reach("run_within")
        return self.said

    def run_task(self, release: Release, service: str, command: tuple[str, ...], limit_s: float) -> TaskResult:
        self._reach("run_task")
        self.tasks.append(command)
        return TaskResult(*self.task_ends, 0.1)


class LoopbackHost(Host):
    """A host whose edge is nowhere: nothing of a stack without routes is asked of it."""

    def edge_address(self) -> str:
        return "127.0.0.1"


def host_in(tmp_path: Path) -> LoopbackHost:
    """A host whose release 2 is live, and 1 on standby."""
    state, files = HostState(tmp_path / "var", tmp_path / "run"), EdgeFiles(tmp_path / "edge", owner=os.geteuid())
    files.prepare()
    runtime = SimulatedRuntime({1: True, 2: True})
    secrets = HostSecrets(tmp_path / "secrets", tmp_path / "sealed", tmp_path / "key")
    host = LoopbackHost(cast(Engine, None), state, secrets, files, runtime, "test")
    for number in (1, 2):
        state.add_record(release(number))
    state.set_state("job", StackState(live=2, standby=1, last=2))
    return host


def release(number: int) -> Release:
    return Release(
        number=number,
        stack="job",
        release=f"sha-000000{number}",
        digests={"web": "sha256:1"},
        tree=TREE,
        definition="d",
        secrets={},
        created_at="2026-11-22T00:00:00.000Z",
    )


def runtime_of(host: Host) -> SimulatedRuntime:
    return cast(SimulatedRuntime, host.runtime)


def deploy(host: Host) -> Receipt:
    host.state.add_record(release(3))
    return Transaction(host, release(3), action="deploy", by="ann", why="test").run()


def last_event(host: Host) -> dict[str, Any]:
    return host.state.history("job")[-1]


def with_ops(number: int, **ops: Any) -> Release:
    return replace(release(number), tree={**TREE, "x-ops": {"releases": ["web"], **ops}})
