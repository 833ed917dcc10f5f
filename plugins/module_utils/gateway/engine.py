"""The Docker engine of this host, through its own socket. The only importer of the docker SDK."""

from __future__ import annotations

import json
import time
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    import docker
    from docker.errors import APIError, DockerException, ImageNotFound, NotFound
except ImportError:  # the host is not provisioned yet: Engine() says so
    docker = None  # type: ignore[assignment]

from ..model.container import (
    LABEL,
    UNNAMED_VOLUME,
    USUAL_SHARES,
    ObservedContainer,
    WantedContainer,
    canonical,
    number_from_label,
)
from ..model.errors import OpsError
from ..model.host import ObservedNetwork

POLL_S = 0.1
_SETTINGS, _STARTED = Path("/etc/docker/daemon.json"), Path("/run/docker.pid")


@dataclass(frozen=True)
class TaskResult:
    """How a one-off container ended: its exit code, its last lines, seconds."""

    exit_code: int
    output: str
    seconds: float


class Engine:
    """Reads and changes containers, networks, volumes and images.

    Raises OpsError for everything the engine refuses, with its reason.
    """

    def __init__(self, base_url: str = "unix:///var/run/docker.sock", *, timeout: float = 60) -> None:
        if docker is None:
            raise OpsError("the Docker SDK for Python is missing on this host", do="run provision.yml for it first")
        with explained(f"the Docker engine at {base_url}", "run provision.yml, or systemctl status docker there"):
            self.api: Any = docker.APIClient(base_url=base_url, version="auto", timeout=int(timeout), num_pools=16)

    # -- reading ---------------------------------------------------------------------------------------------------

    def containers(self, **labels: str) -> dict[str, ObservedContainer]:
        """Containers of the estate by name; keyword arguments filter on our labels (``stack="odoo18"``)."""
        wanted = [f"{LABEL}{key}={value}" for key, value in labels.items()] or [f"{LABEL}stack"]
        with explained("listing containers"):
            listed = self.api.containers(all=True, filters={"label": wanted})
            found = [entry for listing in listed if (entry := self._inspect(listing["Id"]))]
            images = {image: self._image(image) for image in {entry["Image"] for entry in found}}
        return {entry["Name"].lstrip("/"): _observed(entry, images[entry["Image"]]) for entry in found}

    def _image(self, name: str) -> dict[str, Any]:
        try:
            return dict(self.api.inspect_image(name))
        except ImageNotFound:  # removed by force under a container that still has it
            return {}

    def _inspect(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(self.api.inspect_container(name))
        except NotFound:
            return None

    def settings(self) -> dict[str, Any] | None:
        """The engine's own settings; None when they cannot be read, or it has not read them either."""
        try:
            if _SETTINGS.stat().st_mtime > _STARTED.stat().st_mtime:
                return None
            return dict(json.loads(_SETTINGS.read_text()))
        except (OSError, ValueError, TypeError):  # an engine that runs by settings which were broken since
            return None

    def inspect(self, name: str) -> dict[str, Any] | None:
        """What the engine says of a container, or None when there is none."""
        with explained(f"container {name}"):
            return self._inspect(name)

    def address(self, name: str, network: str) -> str:
        """The container's address on a network."""
        networks = (self.inspect(name) or {}).get("NetworkSettings", {}).get("Networks", {})
        if not (address := networks.get(network, {}).get("IPAddress", "")):
            raise OpsError(f"container {name} has no address on network {network}", do="look at docker logs " + name)
        return str(address)

    def pid(self, name: str) -> int:
        """The process id of the container's first process, 0 when it does not run."""
        return int((self.inspect(name) or {}).get("State", {}).get("Pid", 0))

    def networks(self) -> dict[str, ObservedNetwork]:
        """All networks by name."""
        with explained("listing networks"):
            listed = self.api.networks()
        return {entry["Name"]: ObservedNetwork(bool(entry["Internal"]), _owner(entry)) for entry in listed}

    def volumes(self) -> dict[str, str]:
        """All volumes by name, with the stack that made each; empty for those that are not ours."""
        with explained("listing volumes"):
            return {entry["Name"]: _owner(entry) for entry in self.api.volumes()["Volumes"] or ()}

    def images(self) -> frozenset[str]:
        """Every ``repository@digest`` that is present."""
        with explained("listing images"):
            return frozenset(digest for image in self.api.images() for digest in image.get("RepoDigests") or ())

    def images_in_use(self) -> frozenset[str]:
        """The images of all containers, ours or not, running or not, as they were asked for."""
        with explained("listing containers"):
            return frozenset(str(entry["Image"]) for entry in self.api.containers(all=True))

    # -- images ----------------------------------------------------------------------------------------------------

    def pull(self, image: str, auth: Mapping[str, str] | None = None) -> None:
        """Pull ``repository@digest`` and confirm that the engine holds that digest under that name."""
        with explained(f"pulling {image}", "is the registry up, and the login in the secrets store right?"):
            for line in self.api.pull(image, stream=True, decode=True, auth_config=dict(auth) if auth else None):
                if "error" in line:
                    raise _not_pulled(image, str(line["error"]))
        self.verify(image)

    def verify(self, image: str) -> None:
        """Raise OpsError unless the image with exactly this digest is present."""
        with explained(f"image {image}"):
            try:
                held = self.api.inspect_image(image).get("RepoDigests") or []
            except ImageNotFound:
                held = []
        if image not in held:
            raise OpsError(
                f"the digest does not match: the engine holds {', '.join(held) or 'nothing'}",
                where=image,
                do="do not run it; find out who moved the tag, then deploy again",
            )

    # -- changing --------------------------------------------------------------------------------------------------

    def create_network(self, name: str, *, internal: bool, labels: Mapping[str, str]) -> None:
        """A bridge network; ``internal`` ones have no way out."""
        with explained(f"network {name}"):
            self.api.create_network(name, driver="bridge", internal=internal, labels=dict(labels))

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """A named local volume."""
        with explained(f"volume {name}"):
            self.api.create_volume(name, labels=dict(labels))

    def remove_network(self, name: str) -> None:
        """Remove a network to which nobody is attached. One that is gone already is fine."""
        with (
            explained(f"network {name}", f"docker network inspect {name} tells who is attached"),
            suppress(NotFound),
        ):
            self.api.remove_network(name)

    def replace_network(self, name: str, *, internal: bool, labels: Mapping[str, str]) -> None:
        """Make a network anew, and attach who was attached, under the same names."""
        with explained(f"network {name}"):
            attached = self.api.inspect_network(name)["Containers"]
            names = {entry["Name"]: self._endpoint(entry["Name"], name) for entry in attached.values()}
            for container in names:
                self.disconnect(container, name)
        self.remove_network(name)
        self.create_network(name, internal=internal, labels=labels)
        for container, aliases in names.items():
            self.connect(container, name, aliases)

    def _endpoint(self, container: str, network: str) -> tuple[str, ...]:
        found = self.inspect(container) or {}
        endpoint = found.get("NetworkSettings", {}).get("Networks", {}).get(network, {})
        return tuple(endpoint.get("Aliases") or ())

    def remove_volume(self, name: str) -> None:
        """Remove a volume with its data. One that is gone already is fine."""
        with (
            explained(f"volume {name}", f"docker ps --all --filter volume={name} tells who uses it"),
            suppress(NotFound),
        ):
            self.api.remove_volume(name)

    def create(self, wanted: WantedContainer, *, volumes_of: str = "") -> None:
        """Create (not start) a container and attach it to all its networks.

        With ``volumes_of`` it gets the unnamed volumes of that container: an image may declare a volume that its stack
        file does not name, and what lies there is data all the same.
        """
        payload = json.loads(canonical(wanted.payload))
        mounts = payload["HostConfig"].setdefault("Mounts", [])
        mounts += self._unnamed_volumes(volumes_of, {mount["Target"] for mount in mounts}) if volumes_of else []
        first, *others = wanted.networks
        payload["NetworkingConfig"] = {"EndpointsConfig": {first: {"Aliases": list(wanted.networks[first])}}}
        with explained(f"container {wanted.name}"):
            self.api.create_container_from_config(payload, wanted.name)
            for network in others:
                self.connect(wanted.name, network, wanted.networks[network])

    def _unnamed_volumes(self, name: str, taken: Container[str]) -> list[dict[str, Any]]:
        mounts = (self.inspect(name) or {}).get("Mounts") or []
        return [
            {"Type": "volume", "Source": mount["Name"], "Target": mount["Destination"]}
            for mount in mounts
            if UNNAMED_VOLUME.fullmatch(mount.get("Name", "")) and mount["Destination"] not in taken
        ]

    def rename(self, name: str, new: str) -> None:
        """Give a container another name."""
        with explained(f"container {name}"):
            self.api.rename(name, new)

    def connect(self, name: str, network: str, aliases: tuple[str, ...] = ()) -> None:
        """Attach a container to a network."""
        with explained(f"container {name}, network {network}"):
            self.api.connect_container_to_network(name, network, aliases=list(aliases))

    def disconnect(self, name: str, network: str) -> None:
        """Detach a container from a network."""
        with explained(f"container {name}, network {network}"):
            self.api.disconnect_container_from_network(name, network, force=True)

    def stay_stopped(self, name: str) -> None:
        """Stop a container for good: not even a restart of the engine brings it back."""
        with explained(f"container {name}"), suppress(NotFound):
            # The policies but this one respect that somebody stopped the container.
            if self.api.inspect_container(name)["HostConfig"]["RestartPolicy"]["Name"] == "always":
                self.api.update_container(name, restart_policy={"Name": "no"})
        self.stop(name)

    def weigh(self, name: str, shares: int) -> None:
        """Have a container weigh so much against others for processors, in shares of which one has 1024 as a rule."""
        with explained(f"container {name}"):
            if (self.api.inspect_container(name)["HostConfig"]["CpuShares"] or USUAL_SHARES) != shares:
                self.api.update_container(name, cpu_shares=shares)

    def start(self, name: str) -> None:
        """Start a container."""
        with explained(f"container {name}"):
            self.api.start(name)

    def stop(self, name: str, grace_s: int | None = None) -> None:
        """Stop a container with its stop signal; killed after its grace period, or ``grace_s`` seconds.

        A container that is gone already is fine.
        """
        with explained(f"container {name}"):
            found = self._inspect(name)
            if found is None:
                return
            # Said, because the SDK waits for the answer no longer than ten seconds more than it is told.
            grace = found["Config"].get("StopTimeout", 10) if grace_s is None else grace_s
            if found["State"].get("Paused"):
                self.api.unpause(name)  # or it would hear the signal only when it is killed
            try:
                self.api.stop(name, timeout=grace)
            except NotFound:
                return

    def remove(self, name: str, *, unnamed_volumes: bool = False) -> None:
        """Remove a container, not its named volumes; the unnamed ones when it is said. One that is gone is fine."""
        with explained(f"container {name}"), suppress(NotFound):
            self.api.remove_container(name, force=True, v=unnamed_volumes)

    def logs(self, name: str, lines: int = 20) -> str:
        """The last lines a container wrote, for evidence."""
        with explained(f"container {name}"):
            return bytes(self.api.logs(name, tail=lines)).decode(errors="replace").strip()

    def wait_healthy(self, name: str, limit_s: float, *, recovers: bool = False) -> float:
        """Wait until the container is healthy (or running, without a health check); returns seconds.

        With ``recovers`` it may be unhealthy until its next checks: what it lacked has just been put right.
        Raises OpsError with its last lines when it dies, turns unhealthy or the limit passes.
        """
        began = time.monotonic()
        while True:
            state = (self.inspect(name) or {}).get("State", {})
            health = state.get("Health", {}).get("Status", "")
            waited = time.monotonic() - began
            if state.get("Running") and not state.get("Restarting") and health in ("", "healthy"):
                return waited
            if (
                state.get("Status") in ("exited", "dead")
                or (health == "unhealthy" and not recovers)
                or state.get("Restarting")
                or not state
            ):
                self._not_healthy(name, state, f"is {health or state.get('Status', 'gone')}")
            if waited > limit_s:
                self._not_healthy(name, state, f"was not healthy within {limit_s:.0f} s")
            time.sleep(POLL_S)

    def _not_healthy(self, name: str, state: Mapping[str, Any], why: str) -> None:
        checks = state.get("Health", {}).get("Log") or [{}]
        said = str(checks[-1].get("Output", "")).strip() or (self.logs(name, 3) if state else "")
        raise OpsError(f"the container {why}; it says: {said[-400:]}", where=name, do=f"docker logs {name}")

    def wait_ended(self, name: str, limit_s: float) -> None:
        """Wait until a container has ended well.

        Raises OpsError with its last lines when it ends otherwise, or not within the limit.
        """
        code = self._exit_code(name, time.monotonic() + limit_s)
        if code != 0:
            how = f"did not end within {limit_s:.0f} s" if code is None else f"ended with exit code {code}"
            said = self.logs(name, 3)[-400:]
            raise OpsError(f"the container {how}; it says: {said}", where=name, do=f"docker logs {name}")

    def run_task(self, wanted: WantedContainer, limit_s: float) -> TaskResult:
        """Run a container to its end and remove it; stopped and reported when ``limit_s`` passes."""
        began = time.monotonic()
        self.remove(wanted.name, unnamed_volumes=True)
        try:
            self.create(wanted)
            self.start(wanted.name)
            code = self._exit_code(wanted.name, began + limit_s)
            if code is None:
                raise OpsError(
                    f"it did not end within {limit_s:g} s and was stopped; it says: {self.logs(wanted.name, 3)[-400:]}",
                    where=f"task {wanted.name}",
                    do="find out what it waits for, or raise its timeout in the stack file",
                )
            return TaskResult(code, self.logs(wanted.name, 40), time.monotonic() - began)
        finally:
            self.remove(wanted.name, unnamed_volumes=True)

    def _exit_code(self, name: str, deadline: float) -> int | None:
        """How a container ended, or None when it did not before the deadline (of the monotonic clock)."""
        while True:
            state = (self.inspect(name) or {}).get("State", {})
            if state.get("Status") in ("exited", "dead") or not state:
                return int(state.get("ExitCode", -1))
            if time.monotonic() > deadline:
                return None
            time.sleep(POLL_S)


def _not_pulled(image: str, said: str) -> OpsError:
    if "verification failed" in said:
        return OpsError(
            f"the registry's content does not match its digest: {said}",
            where=image,
            do="do not run it; find out who changed what the registry holds, and push the release anew",
        )
    return OpsError(f"the engine could not pull it: {said}", where=image, do="check registry and login")


def _owner(entry: Mapping[str, Any]) -> str:
    return str((entry.get("Labels") or {}).get(f"{LABEL}stack", ""))


def _observed(entry: Mapping[str, Any], image: Mapping[str, Any]) -> ObservedContainer:
    name = entry["Name"].lstrip("/")
    labels = entry["Config"]["Labels"] or {}
    state = entry["State"]
    attached = entry["NetworkSettings"]["Networks"]
    return ObservedContainer(
        name=name,
        stack=labels.get(f"{LABEL}stack", ""),
        service=labels.get(f"{LABEL}service", ""),
        number=number_from_label(name, labels.get(f"{LABEL}number", "0")),
        status=state["Status"],
        health=state.get("Health", {}).get("Status", ""),
        exit_code=int(state.get("ExitCode", 0)),
        # Some engines add the short id to the names by themselves.
        networks={
            network: frozenset(endpoint.get("Aliases") or ()) - {entry["Id"][:12]}
            for network, endpoint in attached.items()
        },
        told=entry,
        image=image,
    )


@contextmanager
def explained(where: str, do: str = "") -> Iterator[None]:
    """Turn what the SDK raises into one sentence; for whoever calls ``Engine.api``."""
    try:
        yield
    except OpsError:
        raise
    except APIError as error:
        taken = "is already in use by container" in str(error.explanation)
        following = "it is not ours: see docker ps -a, and rename or remove it" if taken else do
        raise OpsError(f"the engine refused: {error.explanation or error}", where=where, do=following) from error
    except (DockerException, OSError) as error:
        following = do or "systemctl status docker"
        raise OpsError(f"the engine does not answer: {error}", where=where, do=following) from error
