"""(wanted, observed) -> Plan for one host: networks, volumes, accessories, live releases and routes of all stacks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from ..model.container import ObservedContainer, WantedContainer, canonical, fingerprint
from ..model.errors import InvalidInput, OpsError
from ..model.release import Release
from ..model.service import Service
from ..model.stack import Network, Stack, Volume, parse_tree
from .containers import config_path, container_name, differences, wanted_container
from .edge import compile_stack

EDGE = "edge"
GROUND, ACCESSORY, CHANGE, LIVE, ROUTE, LEFTOVER, FIRST = (
    "ground",
    "accessory",
    "change",
    "live",
    "route",
    "leftover",
    "first",
)
_EDGE_READY = frozenset({f"await {EDGE}-traefik"})


@dataclass(frozen=True)
class Step:
    """One thing to do, why, and after which other steps. ``detail`` is what the doing needs; it is never printed.

    ``part`` says what it is for: GROUND (networks, volumes, files), ACCESSORY (one that is missing or stopped), CHANGE
    (an accessory that runs, but is not as declared), LIVE (containers of the live release), ROUTE, LEFTOVER (of a
    release that did not finish) or FIRST (the first release of a host).
    """

    action: str
    target: str
    reason: str
    stack: str
    part: str
    after: frozenset[str] = frozenset()
    detail: Any = field(default=None, repr=False, compare=False)

    @property
    def id(self) -> str:
        """Unique within a plan."""
        return f"{self.action} {self.target}"

    def __str__(self) -> str:
        return f"{self.stack}: {self.id} ({self.reason})"


@dataclass(frozen=True)
class Plan:
    """Steps in an order that respects ``after``; ``notes`` are for the reader and change nothing."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.steps)

    def only(self, parts: Collection[str]) -> Plan:
        """The steps for some parts; they no longer wait for the others."""
        return Plan(_without_absent(step for step in self.steps if step.part in parts))

    def lines(self) -> list[str]:
        """The plan as an operator reads it."""
        return [*map(str, self.steps), *(f"note: {note}" for note in self.notes)]


@dataclass(frozen=True)
class WantedStack:
    """A declared stack for one host.

    ``digests`` maps an accessory's image (``registry/name:tag``) and a released service's name to a digest;
    ``baseline`` is the release a host without a record starts from; ``secrets_mark`` is the keyed fingerprint of the
    values of its secrets.
    """

    stack: Stack
    digests: Mapping[str, str]
    baseline: str = ""
    secrets_mark: str = ""
    cert_resolver: str | None = None


@dataclass(frozen=True)
class Observed:
    """A host as it is.

    ``images`` are the pinned references present, ``secrets`` the mark of what is in place per stack, ``routes`` the
    edge's file per stack, ``live`` the record of each stack's live release, ``kept`` the numbers of its live and
    standby releases.
    """

    containers: Mapping[str, ObservedContainer] = field(default_factory=dict)
    networks: Set[str] = frozenset()
    volumes: Set[str] = frozenset()
    images: Set[str] = frozenset()
    configs: Set[str] = frozenset()
    secrets: Mapping[str, str] = field(default_factory=dict)
    routes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    edge_ready: bool = False
    live: Mapping[str, Release] = field(default_factory=dict)
    kept: Mapping[str, Set[int]] = field(default_factory=dict)


def plan_stacks(wanted: Sequence[WantedStack], observed: Observed, environment: str) -> Plan:
    """All that has to be done so that the host equals its declaration. Nothing that is not declared is touched.

    Raises InvalidInput when two stacks would call a container by the same name.
    """
    _refuse_shared_names(wanted)
    steps: dict[str, Step] = {}
    notes: list[str] = []
    for one in sorted(wanted, key=lambda w: w.stack.name != EDGE):
        planner = _StackPlanner(one, observed, environment)
        for step in planner.steps():
            steps.setdefault(step.id, step)
        notes += planner.notes
    return Plan(_without_absent(steps.values()), tuple(notes))


def _refuse_shared_names(wanted: Sequence[WantedStack]) -> None:
    """Service ``b-c`` of stack ``a`` and service ``c`` of stack ``a-b`` would replace each other for ever."""
    owners: dict[str, str] = {}
    faults = []
    for stack in (one.stack for one in wanted):
        for name in (container_name(stack.name, service) for service in stack.services):
            if owners.setdefault(name, stack.name) != stack.name:
                what = f"stacks '{owners[name]}' and '{stack.name}' would both have a container '{name}'"
                faults.append(OpsError(what, where=f"stack {stack.name}", do="name one of the services otherwise"))
    if faults:
        raise InvalidInput(faults)


def _without_absent(steps: Iterable[Step]) -> tuple[Step, ...]:
    # Waiting for a step that is not in the plan means: it is done already.
    found = tuple(steps)
    known = {step.id for step in found}
    return tuple(replace(step, after=step.after & known) for step in found)


def definition_mark(stack: Stack) -> str:
    """Fingerprint of what a release of this stack is made from, whatever its sha."""
    return fingerprint(stack.tree)


class _StackPlanner:
    """Plans one stack: what its services stand on first, then its services in the order of their dependencies."""

    def __init__(self, wanted: WantedStack, observed: Observed, environment: str) -> None:
        self.wanted = wanted
        self.stack = wanted.stack
        self.observed = observed
        self.environment = environment
        self.notes: list[str] = []
        self.ground: frozenset[str] = frozenset(
            f"create network {network.name}" for network in self.stack.networks.values() if network.external
        )

    def steps(self) -> Iterator[Step]:
        """In an order in which they could be done one by one."""
        ground = list(self._ground())
        yield from ground
        self.ground |= {step.id for step in ground}
        awaits: dict[str, str] = {}
        for service in self.stack.start_order():
            if service.name not in self.stack.ops.releases and service.image in self.wanted.digests:
                container = self._accessory(service)
                yield from self._container(container, {awaits[n] for n in service.depends_on if n in awaits})
                awaits[service.name] = f"await {container.name}"
        yield from self._gone_accessories()
        if self.stack.ops.releases:
            yield from self._release(frozenset(awaits.values()))
        yield from self._leftovers()

    def _step(
        self, part: str, action: str, target: str, reason: str, after: Set[str] = frozenset(), detail: Any = None
    ) -> Step:
        return Step(action, target, reason, self.stack.name, part, frozenset(after), detail)

    def _ground(self) -> Iterator[Step]:
        if self.stack.name == EDGE and not self.observed.edge_ready:
            yield self._step(GROUND, "prepare edge", EDGE, "directories or ground configuration missing")
        yield from self._places(self.stack.networks.values(), self.stack.volumes.values(), self.stack.configs)
        if self.stack.secrets and self.observed.secrets.get(self.stack.name) != self.wanted.secrets_mark:
            reason = "changed" if self.stack.name in self.observed.secrets else "missing"
            yield self._step(GROUND, "place secrets", self.stack.name, reason)
        yield from self._pulls()

    def _places(
        self, networks: Iterable[Network], volumes: Iterable[Volume], configs: Mapping[str, str]
    ) -> Iterator[Step]:
        for network in networks:
            if not network.external and network.name not in self.observed.networks:
                yield self._step(GROUND, "create network", network.name, "missing", detail=network)
        for volume in volumes:
            if volume.name not in self.observed.volumes:
                yield self._step(GROUND, "create volume", volume.name, "missing", detail=volume)
        for name, content in configs.items():
            path = config_path(self.stack.name, name, content)
            if path not in self.observed.configs:
                yield self._step(GROUND, "place config", path, "missing", detail=content)

    def _places_of(self, recorded: Stack) -> Iterator[Step]:
        """What the released services of a recorded stack stand on, though its file may not declare it any more."""
        networks = {a.network for service in recorded.released for a in service.networks}
        volumes = {m.source for service in recorded.released for m in service.mounts if m.kind == "volume"}
        configs = {f.source for service in recorded.released for f in service.files if f.kind == "config"}
        yield from self._places(
            [recorded.networks[name] for name in sorted(networks)],
            [recorded.volumes[name] for name in sorted(volumes)],
            {name: recorded.configs[name] for name in sorted(configs)},
        )

    def _pulls(self) -> Iterator[Step]:
        for service in self.stack.accessories:
            image = self._accessory(service).image if service.image in self.wanted.digests else ""
            if image and image not in self.observed.images:
                yield self._step(ACCESSORY, "pull image", image, f"{self.stack.name}/{service.name} runs it")

    def _accessory(self, service: Service) -> WantedContainer:
        return wanted_container(
            self.stack,
            service,
            environment=self.environment,
            digest=self.wanted.digests[service.image],
            secrets_mark=self.wanted.secrets_mark,
        )

    def _container(self, wanted: WantedContainer, after: Set[str], part: str = ACCESSORY) -> Iterator[Step]:
        """Steps for one container. One of a release is brought back, never replaced."""
        found = self.observed.containers.get(wanted.name)
        before = after | self.ground
        if found is None:
            first = self._step(part, "create container", wanted.name, "missing", before, wanted)
        elif part == ACCESSORY and (reasons := differences(wanted.spec, found.spec)):
            part = CHANGE
            first = self._step(part, "replace container", wanted.name, ", ".join(reasons), before, wanted)
        else:
            for network in sorted(wanted.networks.keys() - found.networks):
                detail = (wanted, network)
                connect = self._step(part, "connect", f"{wanted.name} to {network}", "detached by hand", before, detail)
                yield connect
                before |= {connect.id}
            if found.running and found.health not in ("", "healthy"):
                yield self._step(part, "await", wanted.name, f"it is {found.health}", before, found.health)
            if found.running:
                return
            first = self._step(part, "start container", wanted.name, "not running", before, wanted)
        yield first
        yield self._step(part, "await", wanted.name, "started", {first.id})

    def _gone_accessories(self) -> Iterator[Step]:
        for found in self.observed.containers.values():
            if found.stack == self.stack.name and not found.number and found.service not in self.stack.services:
                reason = "its service is not declared any more; volumes stay"
                yield self._step(CHANGE, "remove container", found.name, reason)

    def _release(self, after: Set[str]) -> Iterator[Step]:
        live = self.observed.live.get(self.stack.name)
        if live:
            yield from self._live(live, after)
            self._note_pending(live)
        elif self.wanted.baseline:
            target = f"{self.stack.name} {self.wanted.baseline}"
            before = after | self.ground | _EDGE_READY
            yield self._step(FIRST, "release", target, "first release of this host", before, self.wanted)
        else:
            self.notes.append(f"{self.stack.name} has no release yet: deploy one, or declare a baseline")

    def _live(self, live: Release, after: Set[str]) -> Iterator[Step]:
        """The live release exactly as it is recorded, whatever the stack file says by now."""
        stack = parse_tree(live.tree, f"record {live.number} of {self.stack.name}")
        addresses = {service.name: container_name(stack.name, service.name) for service in stack.accessories}
        awaits = set(after)
        places = list(self._places_of(stack))
        yield from places
        self.ground |= {step.id for step in places}
        for service in stack.released:
            container = wanted_container(
                stack,
                service,
                environment=self.environment,
                digest=live.digests[service.name],
                secrets_mark=live.secrets,
                release=live,
            )
            addresses[service.name] = container.name
            if container.name not in self.observed.containers and container.image not in self.observed.images:
                yield self._step(LIVE, "pull image", container.image, f"{container.name} runs it")
            yield from self._container(container, after | {f"pull image {container.image}"}, LIVE)
            awaits.add(f"await {container.name}")
        yield from self._route(stack, addresses, awaits)

    def _route(self, stack: Stack, addresses: Mapping[str, str], after: Set[str]) -> Iterator[Step]:
        config = compile_stack(stack.name, stack.ops.routes, addresses, cert_resolver=self.wanted.cert_resolver)
        found = self.observed.routes.get(stack.name)
        if found is None or canonical(found) != canonical(config):
            reason = "missing" if found is None else "differs from the live release"
            yield self._step(ROUTE, "place route", stack.name, reason, after | _EDGE_READY, config)

    def _leftovers(self) -> Iterator[Step]:
        """What a transaction that died left running, once the edge no longer leads there."""
        kept = {0, *self.observed.kept.get(self.stack.name, ())}
        for found in self.observed.containers.values():
            if found.stack == self.stack.name and found.number not in kept:
                reason = "its release did not finish"
                after = {f"place route {self.stack.name}"}
                yield self._step(LEFTOVER, "remove container", found.name, reason, after)

    def _note_pending(self, live: Release) -> None:
        changed = [
            what
            for what, same in (
                ("its definition", definition_mark(self.stack) == live.definition),
                ("a secret", not self.stack.secrets or live.secrets == self.wanted.secrets_mark),
            )
            if not same
        ]
        if changed:
            self.notes.append(
                f"{self.stack.name}: {' and '.join(changed)} changed since release {live.number}; roll it out with "
                f"deploy.yml -e stack={self.stack.name} -e release={live.release}"
            )
