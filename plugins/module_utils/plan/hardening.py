"""Where a container is looser than the CIS Docker Benchmark 1.6 (section 5) asks, as the engine tells of it.

What an inspection cannot tell (what is in the image, what is done with ``docker exec``) is not here;
``docs/hardening.md`` has the whole list, with our defaults and what loosens each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

Inspection = Mapping[str, Any]

_EVERY_INTERFACE = ("", "0.0.0.0", "::")  # noqa: S104 - what we look for
_FIRST_FREE_PORT = 1024
# A mount of one of these, of what lies beneath it, or of what it lies in, is a way into the host.
_SENSITIVE = ("/boot", "/dev", "/etc", "/home", "/lib", "/proc", "/root", "/sys", "/usr", "/var/lib/docker")
# Only as a whole, or with what they lie in: their parts are what stacks mount.
_SENSITIVE_WHOLE = ("/run/seisei/secrets", "/var/lib/seisei")
# Everybody may read these, and nothing in them is anybody's own.
_PUBLIC = ("/etc/localtime", "/etc/ssl/certs", "/etc/timezone")
_SOCKETS = ("/run/docker.sock", "/run/containerd/containerd.sock", "/var/run/docker.sock")


@dataclass(frozen=True)
class Finding:
    """One place at which a container is loosened: the ``item`` of the benchmark, and ``what`` was seen."""

    item: str
    what: str

    def __str__(self) -> str:
        return f"{self.item} {self.what}"


def loosened(inspection: Inspection) -> list[Finding]:
    """All findings on one container, as ``docker inspect`` gives it, in the order of the benchmark."""
    return [Finding(item, what) for item, look in CHECKS.items() for what in look(inspection)]


def _host(inspection: Inspection) -> Inspection:
    found: Inspection = inspection["HostConfig"]
    return found


def _option(inspection: Inspection, name: str, *values: str) -> bool:
    """Whether a security option has one of these values; the engine takes both ``name=value`` and ``name:value``."""
    given = {text.replace("=", ":", 1) for text in _host(inspection)["SecurityOpt"] or ()}
    return any(f"{name}:{value}" in given for value in values)


def _apparmor(inspection: Inspection) -> Iterator[str]:
    if inspection.get("AppArmorProfile") == "unconfined" or _option(inspection, "apparmor", "unconfined"):
        yield "AppArmor does not confine it"


def _selinux(inspection: Inspection) -> Iterator[str]:
    if _option(inspection, "label", "disable"):
        yield "SELinux does not confine it"


def _capabilities(inspection: Inspection) -> Iterator[str]:
    dropped = {name.upper() for name in _host(inspection)["CapDrop"] or ()}
    if "ALL" not in dropped:
        yield "it keeps capabilities that nobody named"
    for name in sorted(_host(inspection)["CapAdd"] or ()):
        yield f"it has the capability {name.upper().removeprefix('CAP_')}"


def _privileged(inspection: Inspection) -> Iterator[str]:
    if _host(inspection)["Privileged"]:
        yield "it is privileged"


def _mounted(inspection: Inspection) -> Iterator[tuple[PurePosixPath, Mapping[str, Any]]]:
    for mount in inspection["Mounts"]:
        if mount["Type"] == "bind":
            yield PurePosixPath(mount["Source"]), mount


def _sensitive_paths(inspection: Inspection) -> Iterator[str]:
    for path, mount in _mounted(inspection):
        if str(path) in _PUBLIC and not mount["RW"]:
            continue
        whole = any(PurePosixPath(place).is_relative_to(path) for place in (*_SENSITIVE, *_SENSITIVE_WHOLE))
        if whole or any(path.is_relative_to(place) for place in _SENSITIVE):
            yield f"it mounts {path} of the host"


def _bindings(inspection: Inspection) -> Iterator[tuple[str, str]]:
    """Address and port of the host, for each published port."""
    for entries in (_host(inspection)["PortBindings"] or {}).values():
        for entry in entries or ():
            yield entry["HostIp"], entry["HostPort"]


def _privileged_ports(inspection: Inspection) -> Iterator[str]:
    for _, port in _bindings(inspection):
        if port and int(port.partition("-")[0]) < _FIRST_FREE_PORT:
            yield f"it takes port {port} of the host"


def _all_ports(inspection: Inspection) -> Iterator[str]:
    if _host(inspection)["PublishAllPorts"]:
        yield "every port its image names is published"


def _interfaces(inspection: Inspection) -> Iterator[str]:
    for address, port in _bindings(inspection):
        if address in _EVERY_INTERFACE:
            yield f"port {port or 'of any number'} is published on every interface"


def _namespace(key: str, name: str) -> Callable[[Inspection], Iterator[str]]:
    def look(inspection: Inspection) -> Iterator[str]:
        if _host(inspection)[key] == "host":
            yield f"it shares the host's {name}"

    return look


def _memory(inspection: Inspection) -> Iterator[str]:
    if (_host(inspection)["Memory"] or 0) <= 0:
        yield "its memory has no limit"


def _processor(inspection: Inspection) -> Iterator[str]:
    if not any((_host(inspection)[key] or 0) > 0 for key in ("NanoCpus", "CpuQuota", "CpuShares")):
        yield "its share of the processors has no limit"


def _root_filesystem(inspection: Inspection) -> Iterator[str]:
    if not _host(inspection)["ReadonlyRootfs"]:
        yield "its root file system can be written to"


def _restart(inspection: Inspection) -> Iterator[str]:
    if _host(inspection)["RestartPolicy"]["Name"] in ("", "no"):
        yield "nobody starts it again"


def _devices(inspection: Inspection) -> Iterator[str]:
    for device in _host(inspection)["Devices"] or ():
        yield f"it has the device {device['PathOnHost']}"
    if _host(inspection)["DeviceCgroupRules"] or _host(inspection)["DeviceRequests"]:
        yield "it may open devices of the host"


def _open_files(inspection: Inspection) -> Iterator[str]:
    if "nofile" not in {limit["Name"] for limit in _host(inspection)["Ulimits"] or ()}:
        yield "its open files have no limit of ours"


def _propagation(inspection: Inspection) -> Iterator[str]:
    for path, mount in _mounted(inspection):
        if mount.get("Propagation") in ("shared", "rshared"):
            yield f"what it mounts below {path} shows on the host"


def _seccomp(inspection: Inspection) -> Iterator[str]:
    if _option(inspection, "seccomp", "unconfined"):
        yield "it may use every system call"


def _cgroup(inspection: Inspection) -> Iterator[str]:
    if _host(inspection)["CgroupParent"]:
        yield f"it is counted in the control group {_host(inspection)['CgroupParent']}"


def _new_privileges(inspection: Inspection) -> Iterator[str]:
    named = "no-new-privileges" in (_host(inspection)["SecurityOpt"] or ())
    if not named and not _option(inspection, "no-new-privileges", "true"):
        yield "its processes can gain privileges"


def _health(inspection: Inspection) -> Iterator[str]:
    test = (inspection["Config"].get("Healthcheck") or {}).get("Test") or ["NONE"]
    if test[0] == "NONE":
        yield "nobody checks its health"


def _processes(inspection: Inspection) -> Iterator[str]:
    if (_host(inspection)["PidsLimit"] or 0) <= 0:
        yield "its processes have no limit"


def _default_bridge(inspection: Inspection) -> Iterator[str]:
    attached = (inspection.get("NetworkSettings") or {}).get("Networks") or {}
    if _host(inspection)["NetworkMode"] in ("default", "bridge") or "bridge" in attached:
        yield "it is on the engine's default network"


def _engine_socket(inspection: Inspection) -> Iterator[str]:
    for path, _ in _mounted(inspection):
        if any(PurePosixPath(socket).is_relative_to(path) for socket in _SOCKETS):
            yield f"it reaches the engine through {path}"


# Items of the benchmark that an inspection tells, by number.
CHECKS: dict[str, Callable[[Inspection], Iterator[str]]] = {
    "5.2": _apparmor,
    "5.3": _selinux,
    "5.4": _capabilities,
    "5.5": _privileged,
    "5.6": _sensitive_paths,
    "5.8": _privileged_ports,
    "5.9": _all_ports,
    "5.10": _namespace("NetworkMode", "network"),
    "5.11": _memory,
    "5.12": _processor,
    "5.13": _root_filesystem,
    "5.14": _interfaces,
    "5.15": _restart,
    "5.16": _namespace("PidMode", "processes"),
    "5.17": _namespace("IpcMode", "shared memory"),
    "5.18": _devices,
    "5.19": _open_files,
    "5.20": _propagation,
    "5.21": _namespace("UTSMode", "name"),
    "5.22": _seccomp,
    "5.25": _cgroup,
    "5.26": _new_privileges,
    "5.27": _health,
    "5.29": _processes,
    "5.30": _default_bridge,
    "5.31": _namespace("UsernsMode", "user ids"),
    "5.32": _engine_socket,
}
