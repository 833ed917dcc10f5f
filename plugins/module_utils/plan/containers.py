"""From a service to the exact container the engine is asked for: pure, so that plan, check and test see the same."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..model.container import CONFIG_ROOT, LABEL, SECRET_ROOT, WantedContainer, config_mark
from ..model.port import Port
from ..model.release import Release
from ..model.service import Attachment, FileMount, Mount, Service
from ..model.stack import Stack
from .notation import NANO

_TMP = "/tmp"  # noqa: S108 - inside a container


def container_name(stack: str, service: str, release: Release | None = None) -> str:
    """``odoo18-redis``, or ``odoo18-web-19b9b98-7`` for a released service."""
    return f"{stack}-{service}-{release.short}-{release.number}" if release else f"{stack}-{service}"


def config_path(stack: str, name: str, content: str) -> str:
    """Where a config's content lies on the host; named after its content, so that a change is a new file."""
    return f"{CONFIG_ROOT}/{stack}/{config_mark(content.encode())}-{name}"


def secret_path(stack: str, name: str, mark: str) -> str:
    """Where a secret's value lies on the host's tmpfs; ``mark`` is keyed to the value: a change is a new file."""
    return f"{SECRET_ROOT}/{stack}/{name}.{mark}"


def pinned(image: str, digest: str) -> str:
    """``registry/name@sha256:…`` of ``registry/name:tag``: what runs is a digest, never a tag."""
    head, slash, tail = image.rpartition("/")
    return f"{head}{slash}{tail.partition('@')[0].partition(':')[0]}@{digest}"


def wanted_container(
    stack: Stack,
    service: Service,
    *,
    environment: str,
    digest: str,
    secret_marks: Mapping[str, str] = MappingProxyType({}),
    release: Release | None = None,
) -> WantedContainer:
    """The container of a service at a digest. ``release`` for released services; ``secret_marks`` by secret's name."""
    networks = {
        stack.network_of(a.network): _aliases(stack, service, a.network, a.aliases, released=release is not None)
        for a in _attachments(service)
    }
    labels = {
        **service.labels,
        f"{LABEL}environment": environment,
        f"{LABEL}stack": stack.name,
        f"{LABEL}service": service.name,
        f"{LABEL}image": service.image,
    }
    if release:
        labels |= {f"{LABEL}release": release.release, f"{LABEL}number": str(release.number)}
    image = pinned(service.image, digest)
    name = container_name(stack.name, service.name, release)
    payload = _payload(stack, service, image=image, labels=labels, marks=secret_marks)
    return WantedContainer(name, service, stack.name, image, payload, networks)


def _attachments(service: Service) -> list[Attachment]:
    # As Compose does: a mapping has no order, so the first network is the first by name.
    return sorted(service.networks, key=lambda attachment: attachment.network)


def _aliases(
    stack: Stack, service: Service, network: str, declared: tuple[str, ...], *, released: bool
) -> tuple[str, ...]:
    # On a shared network two stacks may both have a "db"; and a candidate must not answer to the live one's name.
    own = () if released or stack.networks[network].external else (service.name,)
    return tuple(dict.fromkeys((*own, *declared)))


def _payload(
    stack: Stack, service: Service, *, image: str, labels: Mapping[str, str], marks: Mapping[str, str]
) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "Image": image,
        "Cmd": list(service.command or ()),
        "Env": sorted(f"{key}={value}" for key, value in service.environment.items()),
        "User": service.user,
        "WorkingDir": service.working_dir,
        "Hostname": service.hostname,
        "Labels": dict(sorted(labels.items())),
        "ExposedPorts": {port: {} for port in (*service.expose, *map(_target, service.ports))},
        "Healthcheck": _healthcheck(service),
        "StopSignal": service.stop_signal,
        "HostConfig": _host_config(stack, service, marks),
    }
    said = {**_said(payload), "StopTimeout": math.ceil(service.stop_grace_period)}
    if service.entrypoint is not None:  # an empty one is said too: it takes the image's away
        said["Entrypoint"] = list(service.entrypoint)
    return said


def _said(config: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was not said, which the engine is to fill in."""
    return {key: value for key, value in config.items() if value is not False and value not in (None, "", 0, {}, [])}


def _target(port: Port) -> str:
    return f"{port.target}/{port.protocol}"


def _healthcheck(service: Service) -> dict[str, Any] | None:
    check = service.healthcheck
    if check is None:
        return None
    if check.test[:1] == ("NONE",):
        return {"Test": ["NONE"]}
    return {
        "Test": list(check.test),
        "Interval": int(check.interval * NANO),
        "Timeout": int(check.timeout * NANO),
        "Retries": check.retries,
        "StartPeriod": int(check.start_period * NANO),
        "StartInterval": int(check.start_interval * NANO) if check.start_period else 0,
    }


def _host_config(stack: Stack, service: Service, marks: Mapping[str, str]) -> dict[str, Any]:
    ports: dict[str, list[dict[str, str]]] = {}
    for port in service.ports:
        ports.setdefault(_target(port), []).append({"HostIp": port.host_ip, "HostPort": str(port.published)})
    config = {
        "NetworkMode": stack.network_of(_attachments(service)[0].network),
        "RestartPolicy": {"Name": service.restart, "MaximumRetryCount": service.restart_retries},
        "PortBindings": ports,
        "Mounts": [_mount(stack, mount) for mount in service.mounts if mount.kind != "tmpfs"]
        + [_file(stack, file, marks) for file in service.files],
        "Tmpfs": _tmpfs(service),
        "ReadonlyRootfs": service.read_only,
        "CapAdd": list(service.cap_add),
        "CapDrop": list(service.cap_drop),
        "SecurityOpt": list(service.security_opt),
        "Memory": service.mem_limit,
        "MemoryReservation": service.mem_reservation,
        "MemorySwap": service.memswap_limit or service.mem_limit,
        "NanoCpus": round(service.cpus * NANO),
        "PidsLimit": service.pids_limit,
        "ExtraHosts": list(service.extra_hosts),
        "Dns": list(service.dns),
        "DnsSearch": list(service.dns_search),
        "DnsOptions": list(service.dns_opt),
        "Sysctls": dict(service.sysctls),
        "ShmSize": service.shm_size,
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in service.ulimits.items()],
        "LogConfig": _said({"Type": service.logging_driver, "Config": dict(service.logging)}),
    }
    return {**_said(config), "Init": service.init}


def _tmpfs(service: Service) -> dict[str, str]:
    """Tmpfs mounts by target. With a read-only root comes a private /tmp, unless the stack file mounts one itself."""
    found = {mount.target: _tmpfs_options(mount) for mount in service.mounts if mount.kind == "tmpfs"}
    if service.read_only and all(mount.target.rstrip("/") != _TMP for mount in service.mounts):
        found[_TMP] = "size=64m,mode=1777"
    return found


def _tmpfs_options(mount: Mount) -> str:
    options = {"ro": mount.read_only, f"size={mount.size}": mount.size, f"mode={mount.mode}": mount.mode}
    return ",".join(option for option, said in options.items() if said)


def _mount(stack: Stack, mount: Mount) -> dict[str, Any]:
    found = {"Type": mount.kind, "Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only}
    if mount.kind == "volume":
        found["Source"] = stack.volumes[mount.source].name
        found["VolumeOptions"] = _said({"NoCopy": mount.nocopy, "Subpath": mount.subpath})
    else:
        found["BindOptions"] = _said({"Propagation": mount.propagation})
    return _said(found)


def _file(stack: Stack, file: FileMount, marks: Mapping[str, str]) -> dict[str, Any]:
    if file.kind == "config":
        source = config_path(stack.name, file.source, stack.configs[file.source])
    else:
        source = secret_path(stack.name, file.source, marks.get(file.source, ""))
    return {"Type": "bind", "Source": source, "Target": file.target, "ReadOnly": True}
