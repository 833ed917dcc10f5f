"""(wanted, observed) -> Plan for one host: what its stacks stand on, accessories, live releases and routes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from typing import Any

from ..model.container import ObservedContainer, WantedContainer, canonical, fingerprint
from ..model.errors import InvalidInput, OpsError
from ..model.health import STARTED
from ..model.host import Observed, WantedStack
from ..model.release import Release
from ..model.service import Service
from ..model.stack import Stack, parse_tree
from .containers import container_name, secret_path, wanted_container
from .differences import differences, other_names, why_not_running
from .edge import Config, compile_stack
from .edge_assets import as_placed
from .ground import places_of_release, places_of_stack
from .settings import settings_of, settings_wanted
from .steps import ACCESSORY, CHANGE, EDGE_READY, FIRST, GROUND, LEFTOVER, LIVE, ROUTE, Plan, Step, plan_of
from .undeclared import undeclared

EDGE = "edge"
NEXT, REPLACED = "-next", "-replaced"
"""How the two containers of an accessory are called while one takes the other's place."""

ENDS = "ends"
"""The detail of an await: until the container has ended well, instead of until it is healthy."""


def plan_stacks(
    wanted: Sequence[WantedStack], observed: Observed, environment: str, declared: Collection[str] | None = None
) -> Plan:
    """All that has to be done so that the host equals its declaration. Nothing that the estate does not own is touched.

    ``declared`` are the names of all stacks of the estate: what the host has of others is stopped. Without it, nobody
    but the wanted stacks is looked at.
    Raises InvalidInput when two stacks would call a container by the same name, OpsError when the host's record of a
    wanted stack cannot be read.
    """
    _refuse_shared_names(wanted)
    for one in wanted:
        if error := observed.unreadable.get(one.stack.name):
            raise error
    planners = [
        _StackPlanner(one, observed, environment) for one in sorted(wanted, key=lambda one: one.stack.name != EDGE)
    ]
    steps = [step for planner in planners for step in planner.steps()]
    notes = [note for planner in planners for note in planner.notes]
    if declared is not None:
        gone = undeclared(observed, {*declared, *(one.stack.name for one in wanted)})
        steps += gone.steps
        notes += gone.notes
    return plan_of(steps, notes, [note for planner in planners for note in planner.pending])


def _refuse_shared_names(wanted: Sequence[WantedStack]) -> None:
    """Service ``b-c`` of stack ``a`` and service ``c`` of stack ``a-b`` would replace each other for ever."""
    owners: dict[str, str] = {}
    faults = []
    for stack in (one.stack for one in wanted):
        own = [container_name(stack.name, service) for service in stack.services]
        for name in (f"{container}{end}" for container in own for end in ("", NEXT, REPLACED)):
            if owners.setdefault(name, stack.name) != stack.name:
                what = f"stacks '{owners[name]}' and '{stack.name}' would both have a container '{name}'"
                faults.append(OpsError(what, where=f"stack {stack.name}", do="name one of the services otherwise"))
    if faults:
        raise InvalidInput(faults)


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
        self.live = observed.live.get(self.stack.name)
        self.notes: list[str] = []
        self.pending: list[str] = []
        self.ground: frozenset[str] = frozenset(
            f"{action} network {network.name}"
            for network in self.stack.networks.values()
            if network.external
            for action in ("create", "replace")
        )
        self.began: dict[str, str] = {}  # service -> the step that starts it
        self.ready: dict[str, str] = {}  # service -> the step that waits until it can be used

    def steps(self) -> Iterator[Step]:
        """In an order in which they could be done one by one."""
        ground = list(self._ground())
        yield from ground
        self.ground |= {step.id for step in ground}
        for service in self.stack.start_order():
            if service.name not in self.stack.ops.releases and service.image in self.wanted.digests:
                yield from self._accessory_steps(service)
        yield from self._gone_accessories()
        if self.stack.ops.releases:
            yield from self._release(frozenset(self.ready.values()))
        yield from self._leftovers()
        yield from self._old_secrets()

    def _step(
        self,
        part: str,
        action: str,
        target: str,
        reason: str,
        after: Set[str] = frozenset(),
        detail: Any = None,
        service: str = "",
    ) -> Step:
        return Step(action, target, reason, self.stack.name, part, service, frozenset(after), detail)

    # -- what services stand on ----------------------------------------------------------------------------------------

    def _ground(self) -> Iterator[Step]:
        if self.stack.name == EDGE and not self.observed.edge_ready:
            yield self._step(
                GROUND, "prepare edge", EDGE, "its directories or ground configuration are missing, or were edited"
            )
        yield from places_of_stack(self.wanted, self.observed, self.notes)
        yield from self._pulls()

    def _pulls(self) -> Iterator[Step]:
        for service in self.stack.accessories:
            image = self._accessory(service).image if service.image in self.wanted.digests else ""
            if image and image not in self.observed.images:
                yield self._step(
                    ACCESSORY, "pull image", image, f"{self.stack.name}/{service.name} runs it", service=service.name
                )

    # -- accessories ---------------------------------------------------------------------------------------------------

    def _accessory(self, service: Service) -> WantedContainer:
        return wanted_container(
            self.stack,
            service,
            environment=self.environment,
            digest=self.wanted.digests[service.image],
            secret_marks=self.wanted.secret_marks,
        )

    def _accessory_steps(self, service: Service) -> Iterator[Step]:
        container = self._accessory(service)
        before = self.ground | self._needed_by(service)
        found = self.observed.containers.get(container.name)
        if found and (reasons := self._differences(container, found)):
            yield from self._start(CHANGE, "replace container", container, "; ".join(reasons), before)
        else:
            yield from self._container(container, before, ACCESSORY)

    def _needed_by(self, service: Service) -> set[str]:
        """The steps that have to be over before a service starts, as its ``depends_on`` says."""
        waited = ((name, self.began if how == STARTED else self.ready) for name, how in service.depends_on.items())
        return {steps[name] for name, steps in waited if name in steps}

    def _differences(self, wanted: WantedContainer, found: ObservedContainer) -> list[str]:
        # An image that was never here has no defaults to compare with; its reference differs, which is reason enough.
        daemon = self.observed.daemon
        told = settings_of(found.told, found.image, daemon)
        return differences(settings_wanted(wanted.payload, found.image, daemon), told)

    def _gone_accessories(self) -> Iterator[Step]:
        for found in self.observed.of_stack(self.stack.name):
            if not found.number and found.service not in self.stack.services:
                reason = "its service is not declared any more; volumes stay"
                yield self._step(CHANGE, "remove container", found.name, reason, service=found.service)

    # -- one container -------------------------------------------------------------------------------------------------

    def _container(self, wanted: WantedContainer, before: Set[str], part: str) -> Iterator[Step]:
        """Steps that bring a container back which is as it should be, or not there at all."""
        found = self.observed.containers.get(wanted.name)
        if found is None:
            yield from self._start(part, "create container", wanted, "missing", before)
            return
        attachments = list(self._attachments(wanted, found, before, part))
        yield from attachments
        before = before | {step.id for step in attachments}
        if found.running:
            if found.health not in ("", "healthy"):
                yield self._await(part, wanted, f"it is {found.health}", before, found.health)
            elif wanted.service.name in self.stack.jobs:
                yield self._await(part, wanted, "it has not ended yet", before, ENDS)
        elif not self._has_ended_well(wanted, found):
            yield from self._start(part, "start container", wanted, why_not_running(found), before)

    def _start(self, part: str, action: str, wanted: WantedContainer, reason: str, before: Set[str]) -> Iterator[Step]:
        service = wanted.service.name
        first = self._step(part, action, wanted.name, reason, before, wanted, service)
        yield first
        self.began[service] = first.id
        ends = ENDS if service in self.stack.jobs else ""
        yield self._await(part, wanted, "started", {first.id}, ends)

    def _await(self, part: str, wanted: WantedContainer, reason: str, after: Set[str], detail: str) -> Step:
        step = self._step(part, "await", wanted.name, reason, after, detail, wanted.service.name)
        self.ready[wanted.service.name] = step.id
        return step

    def _has_ended_well(self, wanted: WantedContainer, found: ObservedContainer) -> bool:
        return wanted.service.name in self.stack.jobs and found.status == "exited" and found.exit_code == 0

    def _attachments(
        self, wanted: WantedContainer, found: ObservedContainer, before: Set[str], part: str
    ) -> Iterator[Step]:
        for network in sorted(found.networks.keys() - wanted.networks.keys()):
            yield self._attachment(part, "disconnect", wanted, network, "attached by hand", before)
        for network, aliases in sorted(wanted.networks.items()):
            if network not in found.networks:
                yield self._attachment(part, "connect", wanted, network, "detached by hand", before)
            elif reason := other_names(frozenset(aliases), found.networks[network]):
                yield self._attachment(part, "reconnect", wanted, network, reason, before)

    def _attachment(
        self, part: str, action: str, wanted: WantedContainer, network: str, reason: str, before: Set[str]
    ) -> Step:
        way = "from" if action == "disconnect" else "to"
        target = f"{wanted.name} {way} {network}"
        return self._step(part, action, target, reason, before, (wanted, network), wanted.service.name)

    # -- releases ------------------------------------------------------------------------------------------------------

    def _release(self, after: Set[str]) -> Iterator[Step]:
        if self.live:
            yield from self._live(self.live, after)
            self._note_pending(self.live)
        elif self.wanted.baseline and self.wanted.gated:
            deploy = f"deploy.yml -e stack={self.stack.name} -e release={self.wanted.baseline}"
            self.notes.append(f"{self.stack.name} has no release yet: its first one passes the gate, with {deploy}")
        elif self.wanted.baseline:
            target = f"{self.stack.name} {self.wanted.baseline}"
            before = after | self.ground | EDGE_READY
            yield self._step(FIRST, "release", target, "first release of this host", before, self.wanted)
        else:
            self.notes.append(f"{self.stack.name} has no release yet: deploy one, or declare a baseline")

    def _live(self, live: Release, after: Set[str]) -> Iterator[Step]:
        """The live release exactly as it is recorded, whatever the stack file says by now."""
        stack = parse_tree(live.tree, f"record {live.number} of {self.stack.name}")
        places = list(places_of_release(stack, self.observed, self.notes))
        yield from places
        self.ground |= {step.id for step in places}
        containers = self._of_release(stack, live)
        if self._note_lost_secrets(live):
            return
        if changed := self._changed_by_hand(containers):
            before = after | self.ground | EDGE_READY
            target = f"{self.stack.name} {live.release}"
            yield self._step(LIVE, "release again", target, "; ".join(changed), before, live)
            return
        awaits = set(after)
        for container in containers:
            if container.name not in self.observed.containers and container.image not in self.observed.images:
                reason = f"{container.name} runs it"
                yield self._step(LIVE, "pull image", container.image, reason, service=container.service.name)
            before = after | self.ground | {f"pull image {container.image}"}
            yield from self._container(container, before, LIVE)
            awaits.add(f"await {container.name}")
        yield from self._route(stack, containers, awaits)

    def _note_lost_secrets(self, live: Release) -> bool:
        """Whether a value that the live release runs with can be had no more: then nothing of it could be started."""
        present = self.observed.secrets.get(self.stack.name, frozenset())
        lost = [
            name
            for name, mark in live.secrets.items()
            if f"{name}.{mark}" not in present and self.wanted.secret_marks.get(name) != mark
        ]
        if lost:
            self.notes.append(
                f"{self.stack.name}: the value of {', '.join(lost)} that release {live.number} runs with is gone from "
                f"this host, so its containers are left as they are; roll out today's value with {_deploy(live)}"
            )
        return bool(lost)

    def _of_release(self, stack: Stack, release: Release) -> list[WantedContainer]:
        return [
            wanted_container(
                stack,
                service,
                environment=self.environment,
                digest=release.digests[service.name],
                secret_marks=release.secrets,
                release=release,
            )
            for service in stack.released
        ]

    def _changed_by_hand(self, containers: Sequence[WantedContainer]) -> list[str]:
        return [
            f"{wanted.name} was changed by hand: {', '.join(reasons)}"
            for wanted in containers
            if (found := self.observed.containers.get(wanted.name)) and (reasons := self._differences(wanted, found))
        ]

    def _route(self, stack: Stack, containers: Sequence[WantedContainer], after: Set[str]) -> Iterator[Step]:
        addresses = {service.name: container_name(stack.name, service.name) for service in stack.accessories}
        addresses |= {container.service.name: container.name for container in containers}
        config = compile_stack(stack.name, stack.ops.routes, addresses, cert_resolver=self.wanted.cert_resolver)
        found = self.observed.routes.get(stack.name)
        if found is None or canonical(found) not in {canonical(config), canonical(self._behind(stack, found, config))}:
            reason = "missing" if found is None else "differs from the live release"
            yield self._step(ROUTE, "place route", stack.name, reason, after | EDGE_READY, config)

    def _behind(self, stack: Stack, found: Mapping[str, Any], config: Config) -> Config:
        """The route with a sound standby behind it, as far as it was placed; when that ends is no matter of a plan."""
        standby = self.observed.standby.get(self.stack.name)
        if not standby or not stack.ops.assets or not self._is_sound(standby):
            return config
        old = parse_tree(standby.tree, f"record {standby.number} of {self.stack.name}")
        addresses = {container.service.name: container.name for container in self._of_release(old, standby)}
        return as_placed(config, found, stack, old, addresses, self.wanted.cert_resolver)

    def _is_sound(self, standby: Release) -> bool:
        found = [self.observed.containers.get(name) for name in self._names(standby)]
        return all(one and one.running and not self._why_not_standby(standby, one) for one in found)

    def _note_pending(self, live: Release) -> None:
        changed = ["its definition"] if definition_mark(self.stack) != live.definition else []
        rotated = sorted(
            name for name, mark in self.wanted.secret_marks.items() if live.secrets.get(name, mark) != mark
        )
        changed += [f"secret {name}" for name in rotated]
        if changed:
            self.pending.append(
                f"{self.stack.name}: {' and '.join(changed)} changed since release {live.number}; roll it out with "
                f"{_deploy(live)}"
            )

    # -- what was left behind ------------------------------------------------------------------------------------------

    def _leftovers(self) -> Iterator[Step]:
        """What a transaction or a replacement that died left, once the edge no longer leads there."""
        for found in self.observed.of_stack(self.stack.name):
            if reason := self._why_left(found):
                part = LEFTOVER if found.number else ACCESSORY
                begun = container_name(self.stack.name, found.service)
                after = {f"place route {self.stack.name}", f"await {begun}"}
                yield self._step(part, "remove container", found.name, reason, after, service=found.service)

    def _why_left(self, found: ObservedContainer) -> str:
        """Why a container of this stack is nobody's, or an empty text."""
        standby = self.observed.standby.get(self.stack.name)
        if self.live and found.number == self.live.number:
            return "" if found.name in self._names(self.live) else "it bears a name that no release gave it"
        if standby and found.number == standby.number:
            return self._why_not_standby(standby, found)
        if found.number:
            return "its release did not finish"
        own = container_name(self.stack.name, found.service)
        if found.service not in self.stack.services or found.name == own:
            return ""
        # While nobody has the name, what lies beside it may hold the only way to its data.
        taken = own in self.observed.containers or f"create container {own}" in self.began.values()
        return "it was left beside the one in service" if taken else ""

    def _names(self, release: Release) -> dict[str, WantedContainer]:
        stack = parse_tree(release.tree, f"record {release.number} of {self.stack.name}")
        return {container.name: container for container in self._of_release(stack, release)}

    def _why_not_standby(self, standby: Release, found: ObservedContainer) -> str:
        wanted = self._names(standby).get(found.name)
        reasons = self._differences(wanted, found) if wanted else ["it bears a name that no release gave it"]
        return f"on standby, but changed by hand: {', '.join(reasons)}" if reasons else ""

    def _old_secrets(self) -> Iterator[Step]:
        """Values that neither the declaration nor a release at hand uses any more."""
        releases = (self.observed.live.get(self.stack.name), self.observed.standby.get(self.stack.name))
        uses = [self.wanted.secret_marks, *(release.secrets for release in releases if release)]
        used = {f"{name}.{mark}" for marks in uses for name, mark in marks.items()}
        for name in sorted(self.observed.secrets.get(self.stack.name, frozenset()) - used):
            if not self._is_mounted(name):
                target = f"{self.stack.name}/{name.rpartition('.')[0]}"
                reason = "no release at hand uses this value any more"
                yield self._step(CHANGE, "remove secret", target, reason, detail=name)

    def _is_mounted(self, file: str) -> bool:
        # Its container may be about to be replaced: then the next convergence finds the value without a user.
        path = secret_path(self.stack.name, *file.rsplit(".", 1))
        containers = self.observed.of_stack(self.stack.name)
        return any(mount.get("Source") == path for found in containers for mount in found.told.get("Mounts") or ())


def _deploy(release: Release) -> str:
    return f"deploy.yml -e stack={release.stack} -e release={release.release}"
