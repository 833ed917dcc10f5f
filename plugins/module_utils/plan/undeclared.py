"""Stacks that a host has and the estate no longer declares: stopped, their data kept until told otherwise by name."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ..model.errors import OpsError
from ..model.host import Observed
from .edge import BASE
from .steps import CHANGE, EDGE_READY, GROUND, LEFTOVER, ROUTE, WITH_ITS_DATA, Plan, Step, plan_of

_AT_REST = ("exited", "created", "dead")


def undeclared(observed: Observed, declared: Collection[str]) -> Plan:
    """Take every stack that is not declared from the edge, then stop it."""
    steps: list[Step] = []
    notes: list[str] = []
    for name in sorted(_stacks(observed) - {*declared, BASE}):
        steps += _rest(name, observed)
        notes.append(
            f"{name} is not declared any more: it rests, and its data stays until remove_stack.yml -e name={name}"
        )
        notes += [f"{name}: {error}" for stack, error in observed.unreadable.items() if stack == name]
    return plan_of(steps, notes)


def removal(name: str, observed: Observed) -> Plan:
    """Remove all that a host has of one stack, its data included. Raises OpsError without a name: that is nobody's."""
    if not name:
        raise OpsError("no stack was named", do="say which one: -e name=<stack>")
    return plan_of([*_rest(name, observed), *_removals(name, observed)])


def _stacks(observed: Observed) -> set[str]:
    return {found.stack for found in observed.containers.values()} | observed.known


def _rest(name: str, observed: Observed) -> Iterator[Step]:
    reason = "its stack is not declared"
    if name in observed.routes:
        yield Step("remove route", name, reason, name, ROUTE, after=EDGE_READY, detail=observed.routes[name])
    for found in observed.of_stack(name):
        if found.status not in _AT_REST:
            after = frozenset({f"remove route {name}"})
            yield Step("stop container", found.name, reason, name, CHANGE, found.service, after)


def _removals(name: str, observed: Observed) -> Iterator[Step]:
    containers = observed.of_stack(name)
    gone = frozenset(f"remove container {found.name}" for found in containers)
    reason = "asked for by name"
    for found in containers:
        after = frozenset({f"stop container {found.name}"})
        yield Step("remove container", found.name, reason, name, CHANGE, found.service, after, WITH_ITS_DATA)
    for network in sorted(key for key, found in observed.networks.items() if found.stack == name):
        yield Step("remove network", network, reason, name, GROUND, after=gone)
    for volume in sorted(key for key, owner in observed.volumes.items() if owner == name):
        yield Step("remove volume", volume, f"{reason}, with the data in it", name, GROUND, after=gone)
    yield Step("forget", name, "its configs, secrets and records; its history stays", name, LEFTOVER, after=gone)
