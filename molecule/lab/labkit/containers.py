"""Containers of the lab: what each should be, and making it so."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import docker
from docker.errors import NotFound
from docker.models.containers import Container
from docker.types import EndpointConfig, IPAMConfig, IPAMPool, Mount, NetworkingConfig

from labkit.files import digest_of_tree
from labkit.freezer import thaw
from labkit.settings import LABEL, Lab
from plugins.module_utils.model.errors import OpsError

SPEC_LABEL = f"{LABEL}.spec"
# What survives `down`: costly to make again and no part of an estate's state.
KEEP_LABEL = f"{LABEL}.keep"
MIB = 1024**2


@dataclass(frozen=True)
class Spec:
    """What one container should be.

    ``volumes`` maps a use to its mount point, ``kept`` names the uses that survive `down`, ``binds`` maps a mount point
    to a file of this machine, ``files`` are put into the container before its first start.
    """

    part: str
    image: str
    last: int
    memory: int
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    binds: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    published: tuple[int, ...] = ()
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    host: bool = False
    hostname: str = ""


def ensure_network(client: docker.DockerClient, lab: Lab) -> None:
    """Make the lab's network if it is missing, or wrong and unused."""
    for network in client.networks.list(names=[lab.network]):
        if network.name != lab.network:
            continue
        configs = (network.attrs.get("IPAM") or {}).get("Config") or []
        if [config.get("Subnet") for config in configs] == [lab.subnet]:
            return
        network.remove()
    pool = IPAMPool(subnet=lab.subnet, gateway=lab.address(1))
    client.networks.create(
        lab.network, driver="bridge", ipam=IPAMConfig(pool_configs=[pool]), labels=_labels(lab), check_duplicate=True
    )


def remove_network(client: docker.DockerClient, lab: Lab) -> None:
    """Remove the lab's network if it is there."""
    for network in client.networks.list(names=[lab.network]):
        if network.name == lab.network:
            network.remove()


def ensure_container(client: docker.DockerClient, lab: Lab, spec: Spec) -> bool:
    """Run the container that ``spec`` describes. Return whether anything was started, made or made anew."""
    wanted = fingerprint(client, lab, spec)
    container = _find(client, lab.container(spec.part))
    if container is not None and _is_as_wanted(container, wanted):
        return _revive(client, lab, spec, container)
    if container is not None:
        remove_container(container)
    if spec.host:
        # A host made anew is a bare one. Also where there was none: an interrupted run may have left its state.
        remove_volumes(client, lab, part=spec.part)
    _create(client, lab, spec, wanted).start()
    return True


def _find(client: docker.DockerClient, name: str) -> Container | None:
    try:
        return client.containers.get(name)
    except NotFound:
        return None


def _is_as_wanted(container: Container, wanted: str) -> bool:
    # One that was made but never started was interrupted before its files were in place.
    return container.labels.get(SPEC_LABEL) == wanted and container.status not in ("created", "dead", "removing")


def _revive(client: docker.DockerClient, lab: Lab, spec: Spec, container: Container) -> bool:
    """Undo what a person or a test did to a container: stopped, paused, or taken off the network."""
    before = container.status
    if before == "paused":
        container.unpause()
    elif before != "running":
        container.start()
    if lab.network not in container.attrs["NetworkSettings"]["Networks"]:
        network = client.networks.get(lab.network)
        network.connect(container, ipv4_address=lab.address(spec.last), aliases=[spec.hostname or spec.part])
        return True
    return before != "running"


def fingerprint(client: docker.DockerClient, lab: Lab, spec: Spec) -> str:
    """Digest of all that makes the container what it is: specification, image, mounted files and where they lie."""
    directory = lab.files(spec.part)
    mounted = digest_of_tree(directory) if directory.exists() else ""
    image = str(client.images.get(spec.image).id)
    return hashlib.sha256(
        json.dumps([asdict(spec), image, str(directory), mounted], sort_keys=True).encode()
    ).hexdigest()


def find_containers(client: docker.DockerClient, lab: Lab) -> list[Container]:
    """Every container of this lab, running or not."""
    label = f"{LABEL}.name={lab.name}"
    return list(client.containers.list(all=True, filters={"label": label}, ignore_removed=True))


def remove_container(container: Container) -> None:
    """Remove a container with its anonymous volumes; gone already is as good."""
    with suppress(OSError):  # the engine then says what it could not kill
        thaw(int(container.attrs["State"]["Pid"]))
    with suppress(NotFound):
        container.remove(force=True, v=True)


def remove_volumes(client: docker.DockerClient, lab: Lab, *, part: str = "", kept_too: bool = False) -> list[str]:
    """Remove the lab's volumes (those of ``part``); the kept ones only when asked. Return their names."""
    filters = [f"{LABEL}.name={lab.name}"] + ([f"{LABEL}.part={part}"] if part else [])
    removed = []
    for volume in client.volumes.list(filters={"label": filters}):
        if kept_too or KEEP_LABEL not in (volume.attrs.get("Labels") or {}):
            volume.remove()
            removed.append(volume.name)
    return removed


def wait_until(probe: Callable[[], str], what: str, seconds: float, *, do: str = "") -> None:
    """Poll ``probe`` until it returns an empty string; raise OpsError with its last complaint after ``seconds``."""
    deadline = time.monotonic() + seconds
    complaint = probe()
    while complaint:
        if time.monotonic() > deadline:
            raise OpsError(f"it did not come up within {seconds:.0f} s ({complaint})", where=what, do=do)
        time.sleep(0.2)
        complaint = probe()


def _create(client: docker.DockerClient, lab: Lab, spec: Spec, wanted: str) -> Container:
    name = lab.container(spec.part)
    api = client.api
    for use in spec.volumes:
        labels = {**_labels(lab), f"{LABEL}.part": spec.part, **({KEEP_LABEL: "true"} if use in spec.kept else {})}
        client.volumes.create(lab.volume(spec.part, use), labels=labels)
    endpoint = EndpointConfig(
        api.api_version, ipv4_address=lab.address(spec.last), aliases=[spec.hostname or spec.part]
    )
    # The published types say one endpoint where the engine, and the library, take a mapping.
    networks = NetworkingConfig(cast("Any", {lab.network: endpoint}))
    created = api.create_container(
        spec.image,
        command=list(spec.command) or None,
        name=name,
        hostname=spec.hostname or spec.part,
        environment=dict(spec.environment),
        ports=list(spec.published),
        labels={**_labels(lab), f"{LABEL}.part": spec.part, SPEC_LABEL: wanted},
        host_config=_host_config(client, lab, spec),
        networking_config=networks,
    )
    if spec.files:
        api.put_archive(created["Id"], "/", _archive(spec.files))
    return client.containers.get(created["Id"])


def _host_config(client: docker.DockerClient, lab: Lab, spec: Spec) -> dict[str, Any]:
    mounts = [Mount(target, lab.volume(spec.part, use), type="volume") for use, target in spec.volumes.items()]
    mounts += [Mount(target, source, type="bind", read_only=True) for target, source in spec.binds.items()]
    if lab.files(spec.part).exists():
        mounts.append(Mount("/lab", str(lab.files(spec.part)), type="bind", read_only=True))
    options: dict[str, Any] = {
        "mounts": mounts,
        "tmpfs": dict(spec.tmpfs),
        "mem_limit": spec.memory,
        # A restart of the machine brings the shared parts back; `up` starts whatever is still missing.
        "restart_policy": {"Name": "unless-stopped"},
        "log_config": {"type": "json-file", "config": {"max-size": "10m", "max-file": "2"}},
        "port_bindings": dict.fromkeys(spec.published, ("127.0.0.1",)),
    }
    if spec.host:
        options |= _HOST_OPTIONS
        mounts.append(Mount("/sys/fs/cgroup", "/sys/fs/cgroup", type="bind"))
    config: dict[str, Any] = client.api.create_host_config(**options)
    if spec.host:
        config["CgroupnsMode"] = "host"
        # What `--security-opt systempaths=unconfined` means to the engine's API: /proc and /sys as a host sees them.
        config["MaskedPaths"] = []
        config["ReadonlyPaths"] = []
    return config


# A container that is a host: systemd as process 1 and an engine of its own. Not --privileged, which asks for
# capabilities that a confined machine may lack.
_HOST_OPTIONS: dict[str, Any] = {
    "cap_add": ["ALL"],
    "cap_drop": ["SYS_RESOURCE"],
    "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
    "device_cgroup_rules": ["a *:* rwm"],
}


def _labels(lab: Lab) -> dict[str, str]:
    return {LABEL: "true", f"{LABEL}.name": lab.name}


def _archive(files: Mapping[str, tuple[int, str]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, (mode, content) in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content.encode()), mode
            archive.addfile(entry, io.BytesIO(content.encode()))
    return buffer.getvalue()
