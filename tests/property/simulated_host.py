"""A simulation of a host for properties of plans: it does steps as an engine would, and refuses what one would refuse.

It is no stand-in for the engine: whether the engine itself does what a step says is tested in the lab.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from plugins.module_utils.model.container import ObservedContainer, WantedContainer
from plugins.module_utils.model.health import COMPLETED
from plugins.module_utils.model.host import Observed, ObservedNetwork, WantedStack
from plugins.module_utils.model.release import Release
from plugins.module_utils.model.stack import Network, parse_tree, with_release
from plugins.module_utils.plan.containers import container_name, wanted_container
from plugins.module_utils.plan.edge import compile_stack
from plugins.module_utils.plan.settings import _as_inspected
from plugins.module_utils.plan.stacks import EDGE, ENDS, definition_mark
from plugins.module_utils.plan.steps import Step

ENVIRONMENT = "test"


class Refused(AssertionError):
    """What an engine or a disk would have refused: the plan's order was wrong, or the step itself."""


@dataclass
class SimulatedHost:
    """Everything that :class:`Observed` tells of, changeable. ``touched`` collects every name a step changed."""

    containers: dict[str, ObservedContainer] = field(default_factory=dict)
    networks: dict[str, ObservedNetwork] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)
    images: set[str] = field(default_factory=set)
    configs: dict[str, bool] = field(default_factory=dict)
    secrets: dict[str, set[str]] = field(default_factory=dict)
    routes: dict[str, dict[str, Any]] = field(default_factory=dict)
    edge_ready: bool = False
    live: dict[str, Release] = field(default_factory=dict)
    standby: dict[str, Release] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    wanted_marks: dict[str, dict[str, str]] = field(default_factory=dict)
    touched: list[tuple[str, str]] = field(default_factory=list)

    def observed(self) -> Observed:
        """As gateways would read it."""
        return Observed(
            containers=dict(self.containers),
            networks=dict(self.networks),
            volumes=dict(self.volumes),
            images=frozenset(self.images),
            configs=dict(self.configs),
            secrets={stack: frozenset(names) for stack, names in self.secrets.items()},
            routes=dict(self.routes),
            edge_ready=self.edge_ready,
            live=dict(self.live),
            standby=dict(self.standby),
            known=frozenset(self.live) | frozenset(self.known),
        )

    def do(self, step: Step) -> None:
        """One step. Raises Refused when its ground is missing."""
        self.touched.append((step.action, step.target))
        getattr(self, "_" + step.action.replace(" ", "_"))(step)

    def _create_network(self, step: Step) -> None:
        _must(step.target not in self.networks, f"network {step.target} exists")
        network: Network = step.detail
        self.networks[step.target] = ObservedNetwork(network.internal, step.stack)

    def _replace_network(self, step: Step) -> None:
        _must(self.networks[step.target].stack == step.stack, f"network {step.target} is not ours")
        self.networks[step.target] = ObservedNetwork(step.detail.internal, step.stack)

    def _remove_network(self, step: Step) -> None:
        attached = [name for name, found in self.containers.items() if step.target in found.networks]
        _must(not attached, f"{attached} are attached to {step.target}")
        del self.networks[step.target]

    def _create_volume(self, step: Step) -> None:
        _must(step.target not in self.volumes, f"volume {step.target} exists")
        self.volumes[step.target] = step.stack

    def _remove_volume(self, step: Step) -> None:
        sources = {mount["Source"]: name for name, found in self.containers.items() for mount in found.told["Mounts"]}
        _must(step.target not in sources, f"{sources.get(step.target)} uses {step.target}")
        del self.volumes[step.target]

    def _place_config(self, step: Step) -> None:
        self.configs[step.target] = True

    def _place_secret(self, step: Step) -> None:
        self.secrets.setdefault(step.stack, set()).add(f"{step.detail}.{self.wanted_marks[step.stack][step.detail]}")

    def _remove_secret(self, step: Step) -> None:
        self.secrets[step.stack].remove(step.detail)

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
        self._leads_elsewhere(step.target)
        del self.containers[step.target]

    def _leads_elsewhere(self, name: str) -> None:
        led = [stack for stack, config in self.routes.items() if f"//{name}:" in str(config)]
        _must(not led, f"the edge still leads {led} to {name}")

    def _start_container(self, step: Step) -> None:
        found = self.containers[step.target]
        self._stands(step.detail)
        _must(found.networks.keys() >= step.detail.networks.keys(), f"{step.target} is not in its networks yet")
        self.containers[step.target] = replace(found, status="running", health="healthy")

    def _stop_container(self, step: Step) -> None:
        self._leads_elsewhere(step.target)
        self.containers[step.target] = replace(self.containers[step.target], status="exited", health="")

    def _connect(self, step: Step) -> None:
        container, network = step.detail
        _must(network in self.networks, f"no network {network}")
        found = self.containers[container.name]
        _must(network not in found.networks, f"{container.name} is attached to {network} already")
        aliases = frozenset(container.networks[network])
        self.containers[container.name] = replace(found, networks={**found.networks, network: aliases})

    def _disconnect(self, step: Step) -> None:
        container, network = step.detail
        found = self.containers[container.name]
        left = {name: aliases for name, aliases in found.networks.items() if name != network}
        _must(left != found.networks, f"{container.name} is not attached to {network}")
        self.containers[container.name] = replace(found, networks=left)

    def _reconnect(self, step: Step) -> None:
        self._disconnect(step)
        self._connect(step)

    def _await(self, step: Step) -> None:
        found = self.containers[step.target]
        _must(found.running, f"{step.target} does not run")
        if step.detail == ENDS:
            self.containers[step.target] = replace(found, status="exited", health="", exit_code=0)
        else:
            self.containers[step.target] = replace(found, health="healthy")

    def _prepare_edge(self, _: Step) -> None:
        self.edge_ready = True

    def _place_route(self, step: Step) -> None:
        _must(self._runs(f"{EDGE}-traefik"), "the edge does not run")
        for router in step.detail.get("http", {}).get("services", {}).values():
            name = router["loadBalancer"]["servers"][0]["url"].split("//")[1].split(":")[0]
            _must(self._runs(name), f"the route leads to {name}, which does not run")
        self.routes[step.stack] = step.detail

    def _remove_route(self, step: Step) -> None:
        del self.routes[step.target]

    def _forget(self, step: Step) -> None:
        for held in (self.secrets, self.live, self.standby):
            held.pop(step.target, None)
        self.configs = {path: intact for path, intact in self.configs.items() if f"/{step.target}/" not in path}

    def _release_again(self, step: Step) -> None:
        live: Release = step.detail
        for name in [name for name, found in self.containers.items() if found.stack == step.stack and found.number]:
            del self.containers[name]
        _must(self._runs(f"{EDGE}-traefik"), "the edge does not run")
        self._serve(replace(live, number=live.number + 1, of=live.origin), None)

    def _release(self, step: Step) -> None:
        wanted: WantedStack = step.detail
        _must(self._runs(f"{EDGE}-traefik"), "the edge does not run")
        self.adopt(wanted, release_of(wanted, wanted.baseline, 1))

    # -- what tests begin with -----------------------------------------------------------------------------------------

    def adopt(self, wanted: WantedStack, release: Release) -> None:
        """Make a release live, as a transaction leaves it."""
        self._serve(release, wanted.cert_resolver)

    def _serve(self, release: Release, cert_resolver: str | None) -> None:
        stack = parse_tree(release.tree)
        addresses = {service.name: container_name(stack.name, service.name) for service in stack.accessories}
        for container in released_containers(release):
            self.images.add(container.image)
            self.run(container)
            addresses[container.service.name] = container.name
        self.live[stack.name] = release
        self.routes[stack.name] = compile_stack(stack.name, stack.ops.routes, addresses, cert_resolver=cert_resolver)

    def run(self, container: WantedContainer) -> None:
        """Create and start a container."""
        _must(container.image in self.images, f"no image {container.image}")
        self._stands(container)
        labels = container.payload["Labels"]
        mounts = container.payload["HostConfig"].get("Mounts", [])
        self.containers[container.name] = ObservedContainer(
            name=container.name,
            stack=container.stack,
            service=container.service.name,
            number=int(labels.get("ops.seisei.number", 0)),
            status="running",
            health="starting" if "CMD" in str(container.payload.get("Healthcheck")) else "",
            networks={network: frozenset(aliases) for network, aliases in container.networks.items()},
            told={**_as_inspected(container.payload, {}, {}, {}), "Mounts": mounts},
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
                names = self.secrets.get(container.stack, ())
                _must(source.rpartition("/")[2] in names, f"no secret {source} for {container.name}")
        for name, condition in container.service.depends_on.items():
            needed = f"{container.stack}-{name}"
            ended = needed in self.containers and self.containers[needed].status == "exited"
            met = ended if condition == COMPLETED else self._runs(needed)
            _must(met, f"{container.name} started before {needed}")

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
        secrets=dict(wanted.secret_marks),
        created_at="2026-11-22T00:00:00.000Z",
    )


def released_containers(release: Release) -> list[WantedContainer]:
    """The containers of a release."""
    stack = parse_tree(release.tree)
    return [
        wanted_container(
            stack,
            service,
            environment=ENVIRONMENT,
            digest=release.digests[service.name],
            secret_marks=release.secrets,
            release=release,
        )
        for service in stack.released
    ]


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Refused(otherwise)
