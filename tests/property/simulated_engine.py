"""A simulation of the engine behind its gateway, for faults that a real one shows too seldom.

Refusals, answers that are lost after the deed, and the death of our process at any call. It refuses what a real engine
refuses; whether a real one does what it is asked is tested in the lab.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from threading import RLock
from typing import Any, Concatenate

from plugins.module_utils.gateway.engine import Engine
from plugins.module_utils.model.container import LABEL, ObservedContainer, WantedContainer
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.host import ObservedNetwork
from plugins.module_utils.plan.settings import _as_inspected


class Killed(BaseException):
    """The process is dead: nothing more is asked of the engine."""


REFUSED, LOST, KILLED_BEFORE, KILLED_AFTER = "refused", "answer lost", "killed before", "killed after"
FAULTS = (REFUSED, LOST, KILLED_BEFORE, KILLED_AFTER)


@dataclass
class Faults:
    """Which of the coming calls go wrong, and how: call number -> fault."""

    at: Mapping[int, str] = field(default_factory=dict)
    calls: int = 0
    dead: bool = False

    def next(self) -> str:
        if self.dead:
            raise Killed
        self.calls += 1
        fault = self.at.get(self.calls, "")
        self.dead = fault.startswith("killed")
        return fault


def deed[**P, R](
    method: Callable[Concatenate[SimulatedEngine, P], R],
) -> Callable[Concatenate[SimulatedEngine, P], R]:
    """A call that changes something, and can go wrong before and after it has."""

    @wraps(method)
    def call(self: SimulatedEngine, /, *given: P.args, **named: P.kwargs) -> R:
        with self.lock:
            fault = self.faults.next()
            if fault == REFUSED:
                raise OpsError(f"the engine refused {method.__name__}")
            if fault == KILLED_BEFORE:
                raise Killed
            self.touched.append((method.__name__, str(given[0])))
            done = method(self, *given, **named)
            if fault == LOST:
                raise OpsError(f"the engine does not answer {method.__name__}")
            if fault == KILLED_AFTER:
                raise Killed
            return done

    return call


class SimulatedEngine(Engine):
    """Containers, networks, volumes and images in memory."""

    def __init__(self) -> None:
        self.found: dict[str, ObservedContainer] = {}
        self.nets: dict[str, ObservedNetwork] = {"bridge": ObservedNetwork(), "theirs": ObservedNetwork()}
        self.vols: dict[str, str] = {"theirs": ""}
        self.held: set[str] = set()
        self.faults = Faults()
        self.touched: list[tuple[str, str]] = []
        self.lock = RLock()
        self._ids = itertools.count(1)

    # -- reading -------------------------------------------------------------------------------------------------------

    def containers(self, **labels: str) -> dict[str, ObservedContainer]:
        with self.lock:
            wanted = labels.get("stack")
            return {name: one for name, one in self.found.items() if one.stack and (not wanted or one.stack == wanted)}

    def pid(self, name: str) -> int:
        return 0

    def settings(self) -> dict[str, Any]:
        return {}

    def inspect(self, name: str) -> dict[str, Any] | None:
        with self.lock:
            found = self.found.get(name)
            return None if found is None else {**found.told, "State": {"Status": found.status, "Pid": 0}}

    def networks(self) -> dict[str, ObservedNetwork]:
        return dict(self.nets)

    def volumes(self) -> dict[str, str]:
        return dict(self.vols)

    def images(self) -> frozenset[str]:
        return frozenset(self.held)

    def images_in_use(self) -> frozenset[str]:
        return frozenset()

    def logs(self, name: str, lines: int = 20) -> str:
        return ""

    def verify(self, image: str) -> None:
        _must(image in self.held, f"no image {image}")

    def wait_healthy(self, name: str, limit_s: float, *, recovers: bool = False) -> float:
        if self.faults.dead:
            raise Killed
        with self.lock:
            found = self.found.get(name)
            _must(found is not None and found.running, f"{name} does not run")
            assert found is not None
            self.found[name] = replace(found, health="healthy" if "CMD" in str(found.told["Config"]) else "")
        return 0.0

    def wait_ended(self, name: str, limit_s: float) -> None:
        if self.faults.dead:
            raise Killed
        with self.lock:
            self.found[name] = replace(self.found[name], status="exited", exit_code=0, health="")

    # -- changing ------------------------------------------------------------------------------------------------------

    @deed
    def pull(self, image: str, auth: Mapping[str, str] | None = None) -> None:
        self.held.add(image)

    @deed
    def create_network(self, name: str, *, internal: bool, labels: Mapping[str, str]) -> None:
        _must(name not in self.nets, f"network {name} exists")
        self.nets[name] = ObservedNetwork(internal, labels[f"{LABEL}stack"])

    @deed
    def replace_network(self, name: str, *, internal: bool, labels: Mapping[str, str]) -> None:
        _must(bool(self.nets[name].stack), f"network {name} is not ours")
        self.nets[name] = ObservedNetwork(internal, labels[f"{LABEL}stack"])

    @deed
    def remove_network(self, name: str) -> None:
        _must(bool(self.nets[name].stack), f"network {name} is not ours")
        del self.nets[name]

    @deed
    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        self.vols.setdefault(name, labels[f"{LABEL}stack"])

    @deed
    def remove_volume(self, name: str) -> None:
        _must(bool(self.vols[name]), f"volume {name} is not ours")
        del self.vols[name]

    @deed
    def create(self, wanted: WantedContainer, *, volumes_of: str = "") -> None:
        _must(wanted.name not in self.found, f"{wanted.name} is in use")
        _must(wanted.payload["Image"] in self.held, f"no image {wanted.payload['Image']}")
        _must(wanted.networks.keys() <= self.nets.keys(), f"a network of {wanted.name} is missing")
        mounts = wanted.payload["HostConfig"].get("Mounts", [])
        lost = [one for one in mounts if one["Type"] == "volume" and one["Source"] not in self.vols]
        _must(not lost, f"volumes of {wanted.name} are missing: {lost}")
        labels = wanted.payload["Labels"]
        self.found[wanted.name] = ObservedContainer(
            name=wanted.name,
            stack=labels.get(f"{LABEL}stack", ""),
            service=labels.get(f"{LABEL}service", ""),
            number=int(labels.get(f"{LABEL}number", 0)),
            status="created",
            networks={network: frozenset(aliases) for network, aliases in wanted.networks.items()},
            told={
                **_as_inspected(wanted.payload, {}, {}, {}),
                "Id": str(next(self._ids)),
                "Mounts": [*mounts, {"Type": "volume", "Name": self._data(wanted.name, volumes_of)}],
            },
        )

    def _data(self, name: str, volumes_of: str) -> str:
        """The unnamed volume of a container: carried on, or a new one."""
        before = self.found.get(volumes_of)
        fresh = f"data of {name.removesuffix('-next')} {len(self.touched)}"
        return str(before.told["Mounts"][-1]["Name"]) if before else fresh

    @deed
    def rename(self, name: str, new: str) -> None:
        _must(name in self.found and new not in self.found, f"{name} cannot be called {new}")
        self.found[new] = replace(self.found.pop(name), name=new)

    @deed
    def weigh(self, name: str, shares: int) -> None:
        found = self.found[name]
        host = {**found.told["HostConfig"], "CpuShares": shares}
        self.found[name] = replace(found, told={**found.told, "HostConfig": host})

    @deed
    def start(self, name: str) -> None:
        _must(name in self.found, f"no container {name}")
        self.found[name] = replace(self.found[name], status="running", health="")

    @deed
    def stop(self, name: str, grace_s: int | None = None) -> None:
        if name in self.found:
            self.found[name] = replace(self.found[name], status="exited", health="", exit_code=143)

    def stay_stopped(self, name: str) -> None:
        self.stop(name)

    @deed
    def remove(self, name: str, *, unnamed_volumes: bool = False) -> None:
        self.found.pop(name, None)

    @deed
    def connect(self, name: str, network: str, aliases: tuple[str, ...] = ()) -> None:
        _must(network in self.nets, f"no network {network}")
        networks = self.found[name].networks
        _must(network not in networks, f"{name} is attached to {network} already")
        self.found[name] = replace(self.found[name], networks={**networks, network: frozenset(aliases)})

    @deed
    def disconnect(self, name: str, network: str) -> None:
        left = {key: names for key, names in self.found[name].networks.items() if key != network}
        self.found[name] = replace(self.found[name], networks=left)


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise OpsError(otherwise)
