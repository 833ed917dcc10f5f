"""Run the plan of a host's stacks through the gateways: independent steps side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter

from .gateway.host_state import now
from .model.container import LABEL, WantedContainer
from .model.errors import InvalidInput, OpsError
from .model.release import Release
from .model.stack import Network, Volume, parse_tree, with_release
from .plan.edge import BASE, compile_base
from .plan.stacks import Observed, Plan, Step, WantedStack, definition_mark, plan_stacks
from .transaction import LIVE_LIMIT_S, READY_LIMIT_S, Host, Transaction

PARALLEL = 6
# Health checks come every few seconds; what is unhealthy for longer than this needs a person.
RECOVERY_LIMIT_S = 30.0


@dataclass
class Outcome:
    """What became of a plan: steps done, the error of each that failed, and those left because they wait for one."""

    done: list[str] = field(default_factory=list)
    failed: dict[str, OpsError] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def observe(host: Host, wanted: Sequence[WantedStack]) -> Observed:
    """The host as it is, read once."""
    states = {one.stack.name: host.state.state(one.stack.name) for one in wanted}
    return Observed(
        containers=host.engine.containers(),
        networks=host.engine.networks(),
        volumes=host.engine.volumes(),
        images=host.engine.images(),
        configs=host.state.configs(),
        secrets=host.state.secret_marks(),
        routes=host.files.all(),
        edge_ready=host.files.all().get(BASE) == compile_base(),
        live={name: host.state.record(name, state.live) for name, state in states.items() if state.live},
        kept={name: {state.live, state.standby} for name, state in states.items()},
    )


def plan(host: Host, wanted: Sequence[WantedStack]) -> Plan:
    """What would be done now."""
    return plan_stacks(wanted, observe(host, wanted), host.environment)


class Apply:
    """Carries a plan out. ``secrets`` maps a stack to the values of its secrets."""

    def __init__(self, host: Host, secrets: Mapping[str, Mapping[str, str]]) -> None:
        self.host = host
        self._does: dict[str, Callable[[Step], None]] = {
            "create network": self._create_network,
            "create volume": self._create_volume,
            "place config": lambda step: host.state.place_config(step.target, step.detail),
            "place secrets": lambda step: host.state.place_secrets(step.stack, secrets[step.stack]),
            "pull image": lambda step: host.engine.pull(step.target, host.auth),
            "create container": self._create,
            "replace container": self._replace,
            "start container": lambda step: host.engine.start(step.target),
            "remove container": self._remove,
            "connect": self._connect,
            "await": self._await,
            "release": self._release,
            "place route": self._place_route,
            "prepare edge": lambda _: self._prepare_edge(),
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
        except OpsError as error:
            outcome.failed[name] = error
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

    def _create(self, step: Step) -> None:
        container: WantedContainer = step.detail
        self.host.engine.create(container)
        self.host.engine.start(container.name)

    def _replace(self, step: Step) -> None:
        self._remove(step)
        self._create(step)

    def _remove(self, step: Step) -> None:
        self.host.engine.stop(step.target)
        self.host.engine.remove(step.target)

    def _connect(self, step: Step) -> None:
        container, network = step.detail
        self.host.engine.connect(container.name, network, container.networks[network])

    def _await(self, step: Step) -> None:
        if step.detail == "unhealthy":
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

    def _release(self, step: Step) -> None:
        wanted: WantedStack = step.detail
        release = new_release(self.host, wanted, wanted.baseline, wanted.digests)
        self.host.state.add_record(release)
        Transaction(self.host, release, action="converge", by="converge", why="first release of this host").run()


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
        secrets=wanted.secrets_mark if stack.secrets else "",
        created_at=now(),
        by=by,
        why=why,
    )


def stand_ready(host: Host, wanted: WantedStack, values: Mapping[str, str], parts: Collection[str]) -> list[str]:
    """Bring some parts of one stack to what is declared, before a release or a rollback; returns what was done.

    The live release's own containers are not looked at: an unhealthy one must not stand in the way of its cure.
    Raises OpsError when a step fails.
    """
    steps = plan(host, [replace(wanted, baseline="")]).only(parts)
    if error := failure(Apply(host, {wanted.stack.name: values}).run(steps)):
        raise error
    return [str(step) for step in steps.steps]


def failure(outcome: Outcome) -> OpsError | None:
    """One error for all that failed, or None."""
    if not outcome.failed:
        return None
    if len(outcome.failed) == 1:
        return next(iter(outcome.failed.values()))
    return InvalidInput(outcome.failed.values())
