"""A simulation of a host for properties of plans: it does steps as an engine would, and refuses what one would refuse.

It is no stand-in for the engine: whether the engine itself does what a step says is tested in the lab.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace
from typing import Any

from plugins.module_utils.model.container import ObservedContainer, WantedContainer
from plugins.module_utils.model.release import Release
from plugins.module_utils.model.stack import parse_tree, with_release
from plugins.module_utils.plan.containers import container_name, wanted_container
from plugins.module_utils.plan.edge import compile_stack
from plugins.module_utils.plan.stacks import EDGE, Observed, Step, WantedStack, definition_mark

ENVIRONMENT = "test"


class Refused(AssertionError):
    """What an engine or a disk would have refused: the plan's order was wrong, or the step itself."""


@dataclass
class SimulatedHost:
    """Everything that :class:`Observed` tells of, changeable. ``touched`` collects every name a step changed."""

    containers: dict[str, ObservedContainer] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)
    volumes: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)
    configs: set[str] = field(default_factory=set)
    secrets: dict[str, str] = field(default_factory=dict)
    routes: dict[str, dict[str, Any]] = field(default_factory=dict)
    edge_ready: bool = False
    live: dict[str, Release] = field(default_factory=dict)
    kept: dict[str, Set[int]] = field(default_factory=dict)
    wanted_marks: dict[str, str] = field(default_factory=dict)
    touched: list[tuple[str, str]] = field(default_factory=list)

    def observed(self) -> Observed:
        """As gateways would read it."""
        return Observed(
            containers=dict(self.containers),
            networks=frozenset(self.networks),
            volumes=frozenset(self.volumes),
            images=frozenset(self.images),
            configs=frozenset(self.configs),
            secrets=dict(self.secrets),
            routes=dict(self.routes),
            edge_ready=self.edge_ready,
            live=dict(self.live),
            kept=dict(self.kept),
        )

    def do(self, step: Step) -> None:
        """One step. Raises Refused when its ground is missing."""
        self.touched.append((step.action, step.target))
        getattr(self, "_" + step.action.replace(" ", "_"))(step)

    def _create_network(self, step: Step) -> None:
        _must(step.target not in self.networks, f"network {step.target} exists")
        self.networks.add(step.target)

    def _create_volume(self, step: Step) -> None:
        _must(step.target not in self.volumes, f"volume {step.target} exists")
        self.volumes.add(step.target)

    def _place_config(self, step: Step) -> None:
        self.configs.add(step.target)

    def _place_secrets(self, step: Step) -> None:
        self.secrets[step.stack] = self.wanted_marks[step.stack]

    def _pull_image(self, step: Step) -> None:
        self.images.add(step.target)

    def _create_container(self, step: Step) -> None:
        _must(step.target not in self.containers, f"container {step.target} exists")
        self.run(step.detail)

    def _replace_container(self, step: Step) -> None:
        _must(step.target in self.containers, f"no container {step.target}")
        self.run(step.detail)

    def _remove_container(self, step: Step) -> None:
        _must(step.target in self.containers, f"no container {step.target}")
        name = step.target
        led = [stack for stack, config in self.routes.items() if f"//{name}:" in str(config)]
        _must(not led, f"the edge still leads {led} to {name}")
        del self.containers[name]

    def _start_container(self, step: Step) -> None:
        found = self.containers[step.target]
        self._stands(step.detail)
        _must(found.networks >= step.detail.networks.keys(), f"{step.target} is not in its networks yet")
        self.containers[step.target] = replace(found, running=True, health="healthy")

    def _connect(self, step: Step) -> None:
        container, network = step.detail
        _must(network in self.networks, f"no network {network}")
        found = self.containers[container.name]
        self.containers[container.name] = replace(found, networks=found.networks | {network})

    def _await(self, step: Step) -> None:
        found = self.containers[step.target]
        _must(found.running, f"{step.target} does not run")
        self.containers[step.target] = replace(found, health="healthy")

    def _prepare_edge(self, _: Step) -> None:
        self.edge_ready = True

    def _place_route(self, step: Step) -> None:
        _must(self._runs(f"{EDGE}-traefik"), "the edge does not run")
        for router in step.detail.get("http", {}).get("services", {}).values():
            name = router["loadBalancer"]["servers"][0]["url"].split("//")[1].split(":")[0]
            _must(self._runs(name), f"the route leads to {name}, which does not run")
        self.routes[step.stack] = step.detail

    def _release(self, step: Step) -> None:
        wanted: WantedStack = step.detail
        _must(self._runs(f"{EDGE}-traefik"), "the edge does not run")
        self.adopt(wanted, release_of(wanted, wanted.baseline, 1))

    # -- what tests begin with -----------------------------------------------------------------------------------------

    def adopt(self, wanted: WantedStack, release: Release) -> None:
        """Make a release live, as a transaction leaves it."""
        stack = wanted.stack
        addresses = {service.name: container_name(stack.name, service.name) for service in stack.accessories}
        for container in released_containers(wanted, release):
            self.images.add(container.image)
            self.run(container)
            addresses[container.service.name] = container.name
        self.live[stack.name] = release
        self.kept[stack.name] = {release.number, 0}
        self.routes[stack.name] = compile_stack(
            stack.name, stack.ops.routes, addresses, cert_resolver=wanted.cert_resolver
        )

    def run(self, container: WantedContainer) -> None:
        """Create and start a container."""
        _must(container.image in self.images, f"no image {container.image}")
        self._stands(container)
        labels = container.payload["Labels"]
        self.containers[container.name] = ObservedContainer(
            name=container.name,
            id=container.name,
            stack=container.stack,
            service=container.service.name,
            number=int(labels.get("ops.seisei.number", 0)),
            running=True,
            health="starting" if container.service.healthcheck else "",
            spec=container.spec,
            networks=frozenset(container.networks),
        )

    def _stands(self, container: WantedContainer) -> None:
        for network in container.networks:
            _must(network in self.networks, f"no network {network} for {container.name}")
        for mount in container.payload["HostConfig"].get("Mounts", []):
            source = mount["Source"]
            if mount["Type"] == "volume":
                _must(source in self.volumes, f"no volume {source} for {container.name}")
            elif source.startswith("/var/lib/seisei/configs/"):
                _must(source in self.configs, f"no config {source} for {container.name}")
            elif source.startswith("/run/seisei/secrets/"):
                _must(container.stack in self.secrets, f"no secrets for {container.name}")
        for name in container.service.depends_on:
            needed = f"{container.stack}-{name}"
            _must(self._runs(needed), f"{container.name} started before {needed}")

    def _runs(self, name: str) -> bool:
        found = self.containers.get(name)
        return found is not None and found.running


def release_of(wanted: WantedStack, sha: str, number: int) -> Release:
    """A record of a stack at a sha."""
    stack = wanted.stack
    return Release(
        number=number,
        stack=stack.name,
        release=sha,
        digests={name: wanted.digests[name] for name in stack.ops.releases},
        tree=with_release(stack.tree, sha),
        definition=definition_mark(stack),
        secrets=wanted.secrets_mark if stack.secrets else "",
        created_at="2026-11-22T00:00:00.000Z",
    )


def released_containers(wanted: WantedStack, release: Release) -> list[WantedContainer]:
    """The containers of a release."""
    stack = parse_tree(release.tree)
    return [
        wanted_container(
            stack,
            service,
            environment=ENVIRONMENT,
            digest=release.digests[service.name],
            secrets_mark=release.secrets,
            release=release,
        )
        for service in stack.released
    ]


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Refused(otherwise)
