"""How a release is started, watched and stopped on a host: one interface, a strategy for each kind of application.

Containers now; processes under pm2 take the same steps with ports instead of container names.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from .gateway import running
from .gateway.engine import Engine, TaskResult
from .gateway.sockets import DrainResult, wait_all_drained
from .model.container import EDGE_CONTAINER, USUAL_SHARES, WantedContainer
from .model.errors import OpsError
from .model.release import Release
from .model.stack import Stack, parse_tree
from .model.switching import PAUSED, STOPPED, Notice
from .plan.containers import container_name, wanted_container

_LAST_LINES = 40
_TASK = "-task"
_NOTICE_LIMIT_S = 10.0
_DATA_ROOT = "/var/lib/docker"  # where the engine keeps images and containers, unless its settings say otherwise
# What a new container weighs against others for processors until it is ready: starting up takes all it can get, which
# would be taken from visitors.
_FIRST_SHARES = 256


class Runtime(Protocol):
    """What a release transaction asks of whatever runs the release."""

    def room(self) -> Mapping[str, int]:
        """Bytes that are free, by the place where releases and what they write are kept."""

    def fetch(self, release: Release) -> None:
        """Bring the release's code here and verify that it is exactly what was released."""

    def start(self, release: Release) -> None:
        """Make it run, whether it is new, stopped, or running already."""

    def wait_ready(self, release: Release, limit_s: float) -> float:
        """Wait until it says it is healthy; seconds. Raises OpsError with evidence."""

    def addresses(self, release: Release) -> Mapping[str, str]:
        """Service -> the name under which the edge reaches it."""

    def probe_address(self, release: Release, service: str) -> str:
        """The IP address at which this host reaches a service directly."""

    def drain(self, release: Release, limit_s: float) -> DrainResult:
        """Wait until nothing is in flight in it."""

    def give_notice(self, release: Release, notice: Notice) -> None:
        """Tell it that it is left, so that it lets go of long connections; it goes on running."""

    def stand_by(self, release: Release, how: str) -> None:
        """Keep it for a quick return: running, paused or stopped."""

    def discard(self, release: Release) -> None:
        """Remove it; its data stays."""

    def last_words(self, release: Release) -> str:
        """The last lines it wrote, for whoever asks later why it was removed; empty when nothing of it is here."""

    def present(self, stack: str) -> frozenset[int]:
        """Numbers of the releases of a stack that have anything here, running or not."""

    def is_up(self, release: Release) -> bool:
        """Whether anything of it runs or is paused."""

    def images(self) -> tuple[frozenset[str], frozenset[str]]:
        """What code this host holds, and what of that is in use, by whomever: both as a release names it."""

    def let_go(self, image: str) -> bool:
        """Remove code that nobody uses; False when somebody does after all."""

    def run_within(self, release: Release, service: str, command: tuple[str, ...], limit_s: float) -> str:
        """Run a command beside what runs of a release, and return what it wrote."""

    def run_task(self, release: Release, service: str, command: tuple[str, ...], limit_s: float) -> TaskResult:
        """Run a command once in the release's own environment, to its end. Raises OpsError when one runs already."""


@dataclass(frozen=True)
class ContainerRuntime:
    """Releases as containers of this host's engine. ``auth`` is the registry login."""

    engine: Engine
    environment: str
    auth: Mapping[str, str]
    _thawed: set[str] = field(default_factory=set)  # whose health the engine does not know yet

    def room(self) -> Mapping[str, int]:
        place = Path((self.engine.settings() or {}).get("data-root", _DATA_ROOT))
        while not place.exists():
            place = place.parent
        return {str(place): shutil.disk_usage(place).free}

    def fetch(self, release: Release) -> None:
        held = self.engine.images()
        for container in self._containers(release):
            if container.image not in held:
                self.engine.pull(container.image, self.auth)
            else:
                self.engine.verify(container.image)

    def start(self, release: Release) -> None:
        present = self.engine.containers(stack=release.stack)
        for container in self._containers(release):
            if container.name not in present:
                self.engine.create(_light(container))
            found = present.get(container.name)
            if found and found.status == "paused":
                running.unpause(self.engine, container.name)
                self._thawed.add(container.name)
            elif not found or not found.running:
                self.engine.start(container.name)

    def wait_ready(self, release: Release, limit_s: float) -> float:
        try:
            return max(self._wait_ready(container.name, limit_s) for container in self._containers(release))
        except OpsError as error:
            # Its container is about to be removed, so the engine's own advice, to read its log, could not be followed.
            raise OpsError(
                error.what, where=error.where, do="nobody saw it; mend the release, or what it needs, and deploy again"
            ) from error

    def _wait_ready(self, name: str, limit_s: float) -> float:
        if name in self._thawed:
            return running.prove_health(self.engine, name, limit_s)
        seconds = self.engine.wait_healthy(name, limit_s)
        self.engine.weigh(name, USUAL_SHARES)
        return seconds

    def addresses(self, release: Release) -> Mapping[str, str]:
        stack = self._stack(release)
        return {
            **{service.name: container_name(stack.name, service.name) for service in stack.accessories},
            **{service.name: container_name(stack.name, service.name, release) for service in stack.released},
        }

    def probe_address(self, release: Release, service: str) -> str:
        stack = self._stack(release)
        network = stack.network_of(stack.services[service].networks[0].network)
        return self.engine.address(self.addresses(release)[service], network)

    def drain(self, release: Release, limit_s: float) -> DrainResult:
        stack = self._stack(release)
        ports = {route.port for route in stack.ops.routes}
        pids = [self.engine.pid(container.name) for container in self._containers(release)]
        return wait_all_drained([pid for pid in pids if pid], ports, limit_s, self._edge())

    def _edge(self) -> Mapping[str, int]:
        """The edge as connections know it: its addresses, and the process whose tables say which are its own."""
        found = self.engine.inspect(EDGE_CONTAINER) or {}
        pid = int(found.get("State", {}).get("Pid", 0))
        networks = found.get("NetworkSettings", {}).get("Networks", {}).values()
        return {network["IPAddress"]: pid for network in networks if pid and network.get("IPAddress")}

    def give_notice(self, release: Release, notice: Notice) -> None:
        routed = {route.service for route in self._stack(release).ops.routes}
        for container in self._containers(release):
            if container.service.name not in routed:
                continue
            if notice.signal:
                running.signal(self.engine, container.name, notice.signal)
            else:
                running.execute(self.engine, container.name, notice.command, _NOTICE_LIMIT_S)

    def stand_by(self, release: Release, how: str) -> None:
        for container in self._containers(release):
            if how == STOPPED:
                self.engine.stop(container.name)
            elif how == PAUSED:
                running.pause(self.engine, container.name)

    def discard(self, release: Release) -> None:
        for container in self._containers(release):
            if self.engine.inspect(container.name) is not None:
                self.engine.stop(container.name)
                self.engine.remove(container.name, unnamed_volumes=True)

    def last_words(self, release: Release) -> str:
        names = [container.name for container in self._containers(release)]
        return "\n".join(self.engine.logs(name, _LAST_LINES) for name in names if self.engine.inspect(name))

    def present(self, stack: str) -> frozenset[int]:
        return frozenset(found.number for found in self.engine.containers(stack=stack).values() if found.number)

    def is_up(self, release: Release) -> bool:
        found = self.engine.containers(stack=release.stack).values()
        return any(one.number == release.number and one.status in ("running", "paused") for one in found)

    def images(self) -> tuple[frozenset[str], frozenset[str]]:
        return self.engine.images(), self.engine.images_in_use()

    def let_go(self, image: str) -> bool:
        return running.remove_image(self.engine, image)

    def run_within(self, release: Release, service: str, command: tuple[str, ...], limit_s: float) -> str:
        return running.execute(self.engine, self.addresses(release)[service], command, limit_s)

    def run_task(self, release: Release, service: str, command: tuple[str, ...], limit_s: float) -> TaskResult:
        stack = self._stack(release)
        for container in self._containers(release):
            if container.service.name == service:
                # Of any release: two of them would change the same data.
                name = re.escape(container_name(stack.name, service))
                running.must_not_run(self.engine, rf"{name}-[^-]+-\d+{_TASK}")
                return self.engine.run_task(_as_task(container, command), limit_s)
        raise OpsError(f"'{service}' is not a released service of '{stack.name}'", do="look at x-ops.releases")

    def _stack(self, release: Release) -> Stack:
        return parse_tree(release.tree, f"record {release.number} of {release.stack}")

    def _containers(self, release: Release) -> Iterator[WantedContainer]:
        stack = self._stack(release)
        for service in stack.released:
            yield wanted_container(
                stack,
                service,
                environment=self.environment,
                digest=release.digests[service.name],
                secret_marks=release.secrets,
                release=release,
            )


def _light(container: WantedContainer) -> WantedContainer:
    host = {**container.payload["HostConfig"], "CpuShares": _FIRST_SHARES}
    return replace(container, payload={**container.payload, "HostConfig": host})


def _as_task(container: WantedContainer, command: tuple[str, ...]) -> WantedContainer:
    """The same container with another command, no published port, no health check, and no restart."""
    host = {**container.payload["HostConfig"], "RestartPolicy": {"Name": "no"}}
    host.pop("PortBindings", None)
    labels = {
        key: value for key, value in container.payload["Labels"].items() if not key.endswith((".stack", ".number"))
    }
    payload = {**container.payload, "Cmd": list(command), "HostConfig": host, "Labels": labels}
    payload["Healthcheck"] = {"Test": ["NONE"]}
    return WantedContainer(
        f"{container.name}{_TASK}",
        container.service,
        container.stack,
        container.image,
        payload,
        dict.fromkeys(container.networks, ()),
    )
