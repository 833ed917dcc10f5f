"""What services stand on: networks, volumes, configs and the values of secrets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ..model.host import Observed, WantedStack
from ..model.stack import Network, Stack, Volume
from .containers import config_path
from .steps import CHANGE, GROUND, Step


def places_of_stack(wanted: WantedStack, observed: Observed, notes: list[str]) -> Iterator[Step]:
    """Steps for all that a declared stack stands on; what a person has to decide is added to ``notes``."""
    stack = wanted.stack
    yield from _places(stack, stack.networks.values(), stack.volumes.values(), stack.configs, observed, notes)
    yield from _secrets(wanted, observed)


def places_of_release(recorded: Stack, observed: Observed, notes: list[str]) -> Iterator[Step]:
    """Steps for what the released services of a recorded stack stand on, though its file may not say so any more."""
    networks = {a.network for service in recorded.released for a in service.networks}
    volumes = {m.source for service in recorded.released for m in service.mounts if m.kind == "volume"}
    configs = {f.source for service in recorded.released for f in service.files if f.kind == "config"}
    yield from _places(
        recorded,
        [recorded.networks[name] for name in sorted(networks)],
        [recorded.volumes[name] for name in sorted(volumes)],
        {name: recorded.configs[name] for name in sorted(configs)},
        observed,
        notes,
    )


def _places(
    stack: Stack,
    networks: Iterable[Network],
    volumes: Iterable[Volume],
    configs: Mapping[str, str],
    observed: Observed,
    notes: list[str],
) -> Iterator[Step]:
    for network in networks:
        if not network.external:
            yield from _network(stack.name, network, observed, notes)
    for volume in volumes:
        if volume.name not in observed.volumes:
            yield Step("create volume", volume.name, "missing", stack.name, GROUND, detail=volume)
    for name, content in configs.items():
        path = config_path(stack.name, name, content)
        if not observed.configs.get(path):
            reason = "edited by hand" if path in observed.configs else "missing"
            yield Step("place config", path, reason, stack.name, GROUND, detail=content)


def _network(stack: str, network: Network, observed: Observed, notes: list[str]) -> Iterator[Step]:
    found = observed.networks.get(network.name)
    if found is None:
        yield Step("create network", network.name, "missing", stack, GROUND, detail=network)
    elif found.internal == network.internal:
        return
    elif found.stack == stack:
        reason = f"internal {str(found.internal).lower()} -> {str(network.internal).lower()}"
        yield Step("replace network", network.name, reason, stack, CHANGE, detail=network)
    else:
        notes.append(
            f"network {network.name} is not ours, and internal is {str(found.internal).lower()} there: name it "
            f"otherwise in the stack file, or remove it by hand (docker network rm {network.name})"
        )


def _secrets(wanted: WantedStack, observed: Observed) -> Iterator[Step]:
    stack = wanted.stack.name
    present = observed.secrets.get(stack, frozenset())
    for name, mark in wanted.secret_marks.items():
        if f"{name}.{mark}" not in present:
            known = any(one.rpartition(".")[0] == name for one in present)
            reason = "its value changed" if known else "missing, edited, or without its sealed copy"
            yield Step("place secret", f"{stack}/{name}", reason, stack, GROUND, detail=name)
