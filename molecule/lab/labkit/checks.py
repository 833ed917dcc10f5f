"""What the machine must offer, checked before anything is started."""

from __future__ import annotations

import ipaddress
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException

from labkit.settings import DISK_NEEDED, GIB, MEMORY_NEEDED, Lab
from plugins.module_utils.model.errors import OpsError

_TOOLS = {"mmdebstrap": "mmdebstrap", "ssh-keygen": "openssh-client", "apt-get": "apt"}
_OLDEST_API = (1, 41)


@dataclass(frozen=True)
class Machine:
    """What was observed of this machine; bytes, network subnets by name."""

    disk_free: int
    memory_available: int
    api: tuple[int, ...]
    subnets: dict[str, tuple[str, ...]]
    missing_tools: tuple[str, ...]


def connect() -> docker.DockerClient:
    """A client of this machine's engine. Raises OpsError when none answers."""
    try:
        client = docker.from_env(timeout=300)
        client.ping()
    except DockerException as error:
        raise OpsError(
            f"no Docker Engine answers ({error})",
            where="this machine",
            do="run bin/setup, which installs and starts one, or start yours and see that your user may use its socket",
        ) from error
    return client


def observe(client: docker.DockerClient) -> Machine:
    """Read what `judge` needs to know of this machine."""
    info: dict[str, Any] = client.info()
    root = Path(info.get("DockerRootDir", "/var/lib/docker"))
    return Machine(
        disk_free=shutil.disk_usage(root if root.exists() else "/").free,
        memory_available=_memory_available(Path("/proc/meminfo").read_text()),
        api=tuple(int(part) for part in client.version()["ApiVersion"].split(".")),
        subnets={str(network.name): _subnets(network.attrs) for network in client.networks.list()},
        missing_tools=tuple(package for tool, package in _TOOLS.items() if shutil.which(tool) is None),
    )


def judge(machine: Machine, lab: Lab, *, built: bool) -> list[OpsError]:
    """Everything that keeps ``lab`` from being started, most basic first; empty when nothing does.

    ``built`` says that the lab's containers run already: then its memory and disk are taken, not needed.
    """
    return [
        *_judge_engine(machine),
        *_judge_tools(machine),
        *([] if built else _judge_room(machine)),
        *_judge_network(machine, lab),
    ]


def _judge_engine(machine: Machine) -> Iterable[OpsError]:
    if machine.api < _OLDEST_API:
        version = ".".join(str(part) for part in machine.api)
        yield OpsError(
            f"the Docker Engine speaks API {version}, older than the 1.41 the lab needs",
            where="this machine",
            do="install docker.io of Debian 12 or newer",
        )


def _judge_tools(machine: Machine) -> Iterable[OpsError]:
    if machine.missing_tools:
        packages = " ".join(machine.missing_tools)
        yield OpsError(
            f"the lab needs tools that are not installed ({packages})", where="this machine", do="run bin/setup"
        )


def _judge_room(machine: Machine) -> Iterable[OpsError]:
    if machine.disk_free < DISK_NEEDED:
        yield OpsError(
            f"{_gib(machine.disk_free)} of disk are free where the lab needs {_gib(DISK_NEEDED)}",
            where="the engine's data directory",
            do="free some, for example with `make clean` and by removing images you do not need",
        )
    if machine.memory_available < MEMORY_NEEDED:
        yield OpsError(
            f"{_gib(machine.memory_available)} of memory are available where the lab may need {_gib(MEMORY_NEEDED)}",
            where="this machine",
            do="stop what else is running, or use a machine with 8 GiB",
        )


def _judge_network(machine: Machine, lab: Lab) -> Iterable[OpsError]:
    wanted = ipaddress.ip_network(lab.subnet)
    for name, subnets in machine.subnets.items():
        if name == lab.network and subnets == (lab.subnet,):
            continue
        for subnet in subnets:
            taken = ipaddress.ip_network(subnet)
            if taken.version == wanted.version and taken.overlaps(wanted):
                yield OpsError(
                    f"the lab's subnet {lab.subnet} is taken by Docker network {name} ({subnet})",
                    where="this machine's engine",
                    do=f"remove that network with `docker network rm {name}` if it is not needed",
                )


def _memory_available(meminfo: str) -> int:
    for line in meminfo.splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OpsError("the kernel does not tell how much memory is available", where="/proc/meminfo")


def _subnets(attributes: dict[str, Any]) -> tuple[str, ...]:
    configs = (attributes.get("IPAM") or {}).get("Config") or []
    return tuple(config["Subnet"] for config in configs if "Subnet" in config)


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
