"""Run the plan of a host's stacks through the gateways: independent steps side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter

from .gateway.host_state import now
from .hands import LIVE_LIMIT_S, READY_LIMIT_S, Host
from .model.container import EDGE_CONTAINER, LABEL, WantedContainer
from .model.errors import InvalidInput, OpsError
from .model.host import Observed, WantedStack
from .model.release import Release
from .model.stack import Network, Volume, parse_tree, with_release
from .plan.edge import BASE, compile_base
from .plan.stacks import ENDS, NEXT, REPLACED, definition_mark, plan_stacks
from .plan.steps import ACCESSORY, CHANGE, WITH_ITS_DATA, Plan, Step

PARALLEL = 6
# Health checks come every few seconds; what is unhealthy for longer than this needs a person.
RECOVERY_LIMIT_S = 30.0


@dataclass
class Outcome:
    """What became of a plan: steps done, the error of each that failed, and those left because they wait for one."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, OpsError] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def observe(host: Host, stacks: Collection[str] = ()) -> Observed:
    """The host as it is, read once. Releases are read of these stacks, and of all that the host has a memory of."""
    routes = host.files.all()
    live, standby, unreadable = _releases(host, {*stacks, *host.state.stacks()})
    return Observed(
        containers=host.engine.containers(),
        daemon=host.engine.settings(),
        networks=host.engine.networks(),
        volumes=host.engine.volumes(),
        images=host.engine.images(),
        configs=host.state.configs(),
        secrets=host.secrets.present(),
        routes=routes,
        edge_ready=routes.get(BASE) == compile_base(),
        live=live,
        standby=standby,
        known=frozenset(name for name in host.state.stacks() if host.state.known(name)),
        unreadable=unreadable,
    )


def _releases(host: Host, names: Collection[str]) -> tuple[dict[str, Release], dict[str, Release], dict[str, OpsError]]:
    """Live and standby by stack, and what is wrong with the records of a stack: no reason to leave the others alone."""
    live: dict[str, Release] = {}
    standby: dict[str, Release] = {}
    unreadable: dict[str, OpsError] = {}
    for name in names:
        try:
            state = host.state.state(name)
            live |= {name: host.state.record(name, state.live)} if state.live else {}
            standby |= {name: host.state.record(name, state.standby)} if state.standby else {}
        except OpsError as error:
            unreadable[name] = error
    return live, standby, unreadable


class Apply:
    """Carries a plan out. ``secrets`` maps a stack to the values of its secrets."""

    def __init__(self, host: Host, secrets: Mapping[str, Mapping[str, str]]) -> None:
        self.host = host
        self._does: dict[str, Callable[[Step], None]] = {
            "create network": self._create_network,
            "create volume": self._create_volume,
            "place config": lambda step: host.state.place_config(step.target, step.detail),
            "place secret": lambda step: host.secrets.place(step.stack, step.detail, secrets[step.stack][step.detail]),
            "pull image": lambda step: host.engine.pull(step.target, host.auth),
            "create container": self._create,
            "replace container": self._replace,
            "start container": lambda step: host.engine.start(step.target),
            "stop container": lambda step: host.engine.stay_stopped(step.target),
            "remove container": self._remove,
            "connect": self._connect,
            "disconnect": self._disconnect,
            "reconnect": self._reconnect,
            "await": self._await,
            "release": self._release,
            "release again": self._release_again,
            "place route": self._place_route,
            "remove route": self._remove_route,
            "prepare edge": lambda _: self._prepare_edge(),
            "replace network": self._replace_network,
            "remove network": lambda step: host.engine.remove_network(step.target),
            "remove volume": lambda step: host.engine.remove_volume(step.target),
            "remove secret": lambda step: host.secrets.remove(step.stack, step.detail),
            "forget": self._forget,
        }

    def run(self, plan: Plan) -> Outcome:
        """Do every step whose predecessors succeeded; a failure stops only what waits for it."""
        outcome = Outcome()
        steps = {step.id: step for step in plan.steps}
        order = TopologicalSorter({step.id: step.after for step in plan.steps})
        order.prepare()
        blocked: set[str] = set()
        with ThreadPoolExecutor(PARALLEL) as pool:
            running: dict[Future[None], str] = {}
            while order.is_active():
                for name in order.get_ready():
                    if steps[name].after & blocked:
                        blocked.add(name)
                        outcome.left.append(name)
                        order.done(name)
                    else:
                        running[pool.submit(self._does[steps[name].action], steps[name])] = name
                for future in wait(running, return_when=FIRST_COMPLETED).done if running else ():
                    name = running.pop(future)
                    self._settle(name, future, outcome, blocked)
                    order.done(name)
        return outcome

    @staticmethod
    def _settle(name: str, future: Future[None], outcome: Outcome, blocked: set[str]) -> None:
        try:
            future.result()
        except (OpsError, OSError) as error:
            told = error if isinstance(error, OpsError) else OpsError(f"{error}", where=name, do="repair the disk")
            outcome.failed[name] = told
            blocked.add(name)
        else:
            outcome.done.append(name)

    # -- steps ---------------------------------------------------------------------------------------------------------

    def _labels(self, step: Step) -> dict[str, str]:
        return {f"{LABEL}environment": self.host.environment, f"{LABEL}stack": step.stack}

    def _create_network(self, step: Step) -> None:
        network: Network = step.detail
        self.host.engine.create_network(network.name, internal=network.internal, labels=self._labels(step))

    def _create_volume(self, step: Step) -> None:
        volume: Volume = step.detail
        self.host.engine.create_volume(volume.name, self._labels(step))

    def _replace_network(self, step: Step) -> None:
        network: Network = step.detail
        self.host.engine.replace_network(network.name, internal=network.internal, labels=self._labels(step))

    def _create(self, step: Step) -> None:
        container: WantedContainer = step.detail
        # Beside a name that is free may lie the one that had it, when a replacement died in between.
        former = container.name + REPLACED
        self._refuse_what_is_not_ours(former, container)
        self.host.engine.create(container, volumes_of=former)
        self.host.engine.start(container.name)

    def _replace(self, step: Step) -> None:
        """Make the new one beside the old, so that what the engine refuses costs no service; then change places.

        When the new one cannot be started, the old one comes back.
        """
        engine, container = self.host.engine, step.detail
        name, following, former = container.name, container.name + NEXT, container.name + REPLACED
        for left in (following, former):  # of a replacement that died; the one in service is called otherwise
            self._refuse_what_is_not_ours(left, container)
            engine.remove(left)
        engine.create(replace(container, name=following), volumes_of=name)
        try:
            engine.stop(name)
            engine.rename(name, former)
            engine.rename(following, name)
            engine.start(name)
        except OpsError:
            self._give_back(name, following, former)
            raise
        engine.remove(former)

    def _give_back(self, name: str, following: str, former: str) -> None:
        engine = self.host.engine
        engine.remove(following)
        if engine.inspect(former) is not None:
            engine.remove(name)
            engine.rename(former, name)
        engine.start(name)

    def _refuse_what_is_not_ours(self, name: str, container: WantedContainer) -> None:
        found = self.host.engine.inspect(name)
        labels = (found or {}).get("Config", {}).get("Labels") or {}
        own = (labels.get(f"{LABEL}stack"), labels.get(f"{LABEL}service")) == (container.stack, container.service.name)
        if found is not None and not own:
            raise OpsError(
                f"it is not ours, and a replacement of {container.name} needs its name",
                where=f"container {name}",
                do="rename it or remove it, then converge again",
            )

    def _remove(self, step: Step) -> None:
        self.host.engine.stop(step.target)
        self.host.engine.remove(step.target, unnamed_volumes=step.detail == WITH_ITS_DATA)

    def _connect(self, step: Step) -> None:
        container, network = step.detail
        self.host.engine.connect(container.name, network, container.networks[network])

    def _disconnect(self, step: Step) -> None:
        container, network = step.detail
        self.host.engine.disconnect(container.name, network)

    def _reconnect(self, step: Step) -> None:
        self._disconnect(step)
        self._connect(step)

    def _await(self, step: Step) -> None:
        if step.detail == ENDS:
            self.host.engine.wait_ended(step.target, READY_LIMIT_S)
        elif step.detail == "unhealthy":
            self.host.engine.wait_healthy(step.target, RECOVERY_LIMIT_S, recovers=True)
        else:
            self.host.engine.wait_healthy(step.target, READY_LIMIT_S)

    def _prepare_edge(self) -> None:
        self.host.files.prepare()
        self.host.files.place(BASE, compile_base())

    def _place_route(self, step: Step) -> None:
        self.host.files.place(step.stack, step.detail)
        if step.detail:
            self.host.edge_api().wait_live(step.detail, LIVE_LIMIT_S)

    def _remove_route(self, step: Step) -> None:
        self.host.files.remove(step.target)
        if self.host.engine.pid(EDGE_CONTAINER):  # one that does not run leads nobody there
            self.host.edge_api().wait_absent(step.detail, LIVE_LIMIT_S)

    def _release(self, step: Step) -> None:
        wanted: WantedStack = step.detail
        release = new_release(self.host, wanted, wanted.baseline, wanted.digests)
        self._bring(release, "first release of this host")

    def _release_again(self, step: Step) -> None:
        """The live release anew, without a gap; what somebody changed is removed, and the standby stays."""
        live: Release = step.detail
        number = self.host.state.next_number(live.stack)
        release = replace(live, number=number, of=live.origin, created_at=now(), by="converge", why=step.reason)
        self._bring(release, step.reason)

    def _bring(self, release: Release, why: str) -> None:
        # Loaded here: nearly every convergence has no release to bring, and is over before this would be.
        from .transaction import Transaction  # noqa: PLC0415
        from .unit import kept_library  # noqa: PLC0415

        with suppress(OpsError):  # not from an archive: a test; a full disk is told by what comes next
            self.host.library = kept_library(self.host.state)
        self.host.state.add_record(release)
        Transaction(self.host, release, action="converge", by="converge", why=why).run()

    def _forget(self, step: Step) -> None:
        self.host.secrets.forget(step.target)
        self.host.state.forget(step.target)


def new_release(
    host: Host, wanted: WantedStack, sha: str, digests: Mapping[str, str], *, by: str = "", why: str = ""
) -> Release:
    """A record of a stack at a sha, numbered next on this host; not yet written.

    Raises InvalidInput when the stack file cannot be read at that release.
    """
    stack = wanted.stack
    tree = with_release(stack.tree, sha)
    parse_tree(tree, f"stack file at {sha}")
    return Release(
        number=host.state.next_number(stack.name),
        stack=stack.name,
        release=sha,
        digests={service: digests[service] for service in stack.ops.releases},
        tree=json.loads(json.dumps(tree)),
        definition=definition_mark(stack),
        secrets=dict(wanted.secret_marks),
        created_at=now(),
        by=by,
        why=why,
        stack_file=wanted.stack_file,
    )


def stand_ready(
    host: Host, wanted: WantedStack, values: Mapping[str, str], parts: Collection[str], spared: Collection[str] = ()
) -> list[str]:
    """Bring some parts of one stack to what is declared, before a release or a rollback; returns what was done.

    The live release's own containers are not looked at: an unhealthy one must not stand in the way of its cure.
    Raises OpsError when a step fails, unless it is of a ``spared`` part: that is told as a warning.
    """
    name = wanted.stack.name
    planned = plan_stacks([replace(wanted, baseline="")], observe(host, [name]), host.environment)
    steps = planned.only(parts)
    outcome = Apply(host, {name: values}).run(steps)
    excused = {step.id for step in steps.steps if step.part in spared}
    warnings = [f"  warning: {outcome.failed.pop(one)}" for one in sorted(excused & outcome.failed.keys())]
    if error := failure(outcome):
        raise error
    if ACCESSORY in parts and not planned.only([CHANGE]).steps:
        note_applied(host, wanted)  # what was added is as declared, and so is all the rest
    return [*(str(step) for step in steps.steps if step.id in outcome.done), *warnings]


def note_applied(host: Host, wanted: WantedStack) -> None:
    """Note that a stack is as declared now: drift is what differs from that."""
    stack = wanted.stack
    entry = {"name": stack.name, "tree": stack.tree, "digests": dict(wanted.digests), "baseline": wanted.baseline}
    host.state.set_applied(stack.name, {"entry": entry, "secret_marks": dict(wanted.secret_marks)})


def failure(outcome: Outcome) -> OpsError | None:
    """One error for all that failed, or None."""
    if not outcome.failed:
        return None
    if len(outcome.failed) == 1:
        return next(iter(outcome.failed.values()))
    return InvalidInput(outcome.failed.values())
