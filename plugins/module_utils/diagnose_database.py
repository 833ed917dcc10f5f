"""Look at a stack's database connection from where the application stands: read, probe, judge. Changes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .gateway.container_files import read_files, read_mounted_files
from .gateway.host_state import HostState
from .gateway.postgres import Surroundings, observe
from .model.connection import Connection, Container, FileSeen, Observation
from .model.errors import OpsError
from .model.stack import Stack
from .plan.connection import Declared, container_from, experiments, paths_to_read, read_connection
from .plan.diagnosis import Context, Diagnosis, diagnose, present

_RESOLV_CONF, _HOSTS = "/etc/resolv.conf", "/etc/hosts"


class Containers(Protocol):
    """What is needed of the engine (gateway.engine.Engine)."""

    def containers(self, **labels: str) -> Mapping[str, Any]:
        """Containers of the estate by name."""

    def inspect(self, name: str) -> dict[str, Any] | None:
        """What the engine says of one."""


@dataclass(frozen=True)
class Request:
    """What is to be looked at. ``foreign`` maps hosts of other environments' databases to the environment."""

    stack: Stack
    environment: str
    service: str = ""
    password: str = field(default="", repr=False)
    secret_id: str = ""
    limit: str = ""
    foreign: Mapping[str, str] = field(default_factory=dict)
    blocked_limit_s: float = 5.0


@dataclass(frozen=True)
class _Place:
    """Where to look from, and the findings about that."""

    surroundings: Surroundings
    told: str
    seen: tuple[Observation, ...] = ()


@dataclass(frozen=True)
class Answer:
    """The diagnosis, the seconds it took, lines for a terminal, and what it was made from."""

    diagnosis: Diagnosis
    seconds: float
    lines: tuple[str, ...]
    seen: tuple[Observation, ...]
    context: Context


def look(request: Request, engine: Containers, state: HostState) -> Answer:
    """Diagnose. Raises OpsError when there is nothing to diagnose or no way to look."""
    began = time.monotonic()
    block = request.stack.ops.database
    if block is None:
        raise OpsError(
            "the stack declares no database",
            where=f"inventories/stacks/{request.stack.name}.yml x-ops",
            do="choose a stack that has one, or declare x-ops.database",
        )
    service = request.service or next(iter(request.stack.ops.releases), "")
    if service not in request.stack.services:
        raise OpsError(
            f"the stack has no service '{service}'",
            where=f"inventories/stacks/{request.stack.name}.yml services",
            do=f"choose one of: {', '.join(request.stack.services)}",
        )
    declared = Declared(
        request.stack.name, block, request.password, request.stack.configs.get(block.ca, ""), request.foreign
    )
    container = _application(request, service, engine, state)
    place = _place(request, container, engine)
    connection, told = _settings(declared, container)
    seen, proven = _probe(request, declared, connection, place)
    context = _context(request, declared, container, _stopped_accessory(request, block.service, engine))
    everything = (*place.seen, *told, *seen)
    diagnosis = diagnose(everything, context, connection, proven=proven, seen_from=place.told)
    seconds = round(time.monotonic() - began, 3)
    return Answer(diagnosis, seconds, tuple(present(diagnosis, context, seconds)), everything, context)


def _probe(
    request: Request, declared: Declared, connection: Connection | None, place: _Place
) -> tuple[tuple[Observation, ...], str]:
    """What was seen, and the code that a second try proved."""
    if connection is None:
        return (), ""
    foreign = tuple(host for host in request.foreign if host != connection.host)
    seen = tuple(observe(connection, place.surroundings, foreign))
    for code, other in experiments(connection, seen, declared).items():
        if _passes_login(observe(other, place.surroundings)):
            return seen, code
    return seen, ""


def _stopped_accessory(request: Request, service: str, engine: Containers) -> tuple[str, str]:
    """The database's own container and how it is, when the stack runs its database and that does not run."""
    if not service:
        return "", ""
    found = engine.containers(environment=request.environment, stack=request.stack.name, service=service)
    for name in found:
        inspected = engine.inspect(name)
        if inspected:
            one = container_from(inspected)
            return ("", "") if one.state == "running" else (one.name, f"{one.state}, exit code {one.exit_code}")
    return f"{request.stack.name}-{service}", "there is none"


def _context(request: Request, declared: Declared, container: Container, accessory: tuple[str, str]) -> Context:
    return Context(
        stack=request.stack.name,
        environment=request.environment,
        service=request.service or request.stack.ops.releases[0],
        container=container.name,
        release=container.release,
        secret=declared.database.password,
        secret_id=request.secret_id,
        limit=request.limit or f"--limit {request.environment}",
        pool=declared.database.pool,
        blocked_limit_s=request.blocked_limit_s,
        accessory=accessory[0],
        accessory_state=accessory[1],
    )


def _passes_login(seen: list[Observation]) -> bool:
    return any(one.layer == "authentication" and one.ok for one in seen)


def _settings(declared: Declared, container: Container) -> tuple[Connection | None, tuple[Observation, ...]]:
    if container.declared_only:
        return declared.connection(), (Observation("configuration", "no_container"),)
    paths = paths_to_read(declared.database, container.environment)
    files = read_files(container.pid, paths) if container.pid else read_mounted_files(container.mounts, paths)
    reading = read_connection(declared, container, files)
    if container.pid:
        return reading.connection, reading.seen
    stopped = Observation("configuration", "not_running", {"state": container.state, "exit_code": container.exit_code})
    return reading.connection, (stopped, *reading.seen)


def surroundings_of(stack: Stack, environment: str, engine: Containers, state: HostState) -> Surroundings | None:
    """From where the stack's application sees its database; None when it does not run.

    From a neighbour other things may be seen: one on an internal network alone resolves no name of outside.
    """
    container = _application(Request(stack, environment), next(iter(stack.ops.releases)), engine, state)
    return _inside(container.pid) if container.pid else None


# -- which container, and where it stands ------------------------------------------------------------------------------


def _application(request: Request, service: str, engine: Containers, state: HostState) -> Container:
    """The live container of the service; else the newest one; else a stand-in that says there is none."""
    found = engine.containers(environment=request.environment, stack=request.stack.name, service=service)
    live = state.state(request.stack.name).live
    order = sorted(found.values(), key=lambda one: (one.number == live, one.running, one.number), reverse=True)
    for one in order:
        inspected = engine.inspect(one.name)
        if inspected:
            return container_from(inspected, (inspected["Config"]["Labels"] or {}).get("ops.seisei.release", ""))
    return Container(
        name=f"{request.stack.name}-{service}",
        state="missing",
        pid=0,
        environment={},
        mounts={},
        networks=tuple(request.stack.network_of(a.network) for a in request.stack.services[service].networks),
        declared_only=True,
    )


def _place(request: Request, container: Container, engine: Containers) -> _Place:
    """The application's own network; without it that of a container beside it; without one the host's."""
    if container.pid:
        return _Place(_inside(container.pid), f"container {container.name}")
    beside = _neighbour(request, container, engine)
    if beside:
        told = f"container {beside.name}, which shares a network with it"
        return _Place(_inside(beside.pid), told, (Observation("configuration", "from_elsewhere", {"seen_from": told}),))
    here = Surroundings(0, Path(_RESOLV_CONF).read_text(encoding="utf-8"), Path(_HOSTS).read_text(encoding="utf-8"))
    told = "the host itself"
    return _Place(here, told, (Observation("configuration", "from_elsewhere", {"seen_from": told}),))


def _neighbour(request: Request, container: Container, engine: Containers) -> Container | None:
    """A running container on the same networks: one of the stack before one of another."""
    candidates: list[tuple[bool, int, Container]] = []
    for name in engine.containers(environment=request.environment):
        inspected = engine.inspect(name)
        other = container_from(inspected) if inspected else None
        if inspected and other and other.pid:
            own = (inspected["Config"]["Labels"] or {}).get("ops.seisei.stack") == request.stack.name
            candidates.append((own, len(set(other.networks) & set(container.networks)), other))
    shared = [one for one in candidates if one[1]]
    return max(shared, key=lambda one: one[:2])[2] if shared else None


def _inside(pid: int) -> Surroundings:
    files = read_files(pid, (_RESOLV_CONF, _HOSTS))
    return Surroundings(pid, _text(files, _RESOLV_CONF), _text(files, _HOSTS))


def _text(files: Mapping[str, FileSeen], path: str) -> str:
    return files[path].text if files[path].state == "ok" else ""
