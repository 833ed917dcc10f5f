"""From a service to the exact container the engine is asked for: pure, so that plan, check and test see the same."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

from ..model.container import CONFIG_ROOT, LABEL, SECRET_ROOT, WantedContainer
from ..model.release import Release
from ..model.service import FileMount, Mount, Service
from ..model.stack import Stack

_NANO = 1_000_000_000


def container_name(stack: str, service: str, release: Release | None = None) -> str:
    """``odoo18-redis``, or ``odoo18-web-19b9b98-7`` for a released service."""
    return f"{stack}-{service}-{release.short}-{release.number}" if release else f"{stack}-{service}"


def config_path(stack: str, name: str, content: str) -> str:
    """Where a config's content lies on the host; named after its content, so that a change is a new file."""
    return f"{CONFIG_ROOT}/{stack}/{hashlib.sha256(content.encode()).hexdigest()[:16]}-{name}"


def secret_path(stack: str, name: str) -> str:
    """Where a secret's value lies on the host's tmpfs."""
    return f"{SECRET_ROOT}/{stack}/{name}"


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
    secrets_mark: str = "",
    release: Release | None = None,
) -> WantedContainer:
    """The container of a service at a digest. ``release`` for released services; ``secrets_mark`` is keyed."""
    networks = {
        stack.network_of(a.network): _aliases(stack, service, a.network, a.aliases, released=release is not None)
        for a in service.networks
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
    if secrets_mark and any(file.kind == "secret" for file in service.files):
        labels[f"{LABEL}secrets"] = secrets_mark
    image = pinned(service.image, digest)
    name = container_name(stack.name, service.name, release)
    payload = _payload(stack, service, image=image, labels=labels)
    return WantedContainer(name, service, stack.name, image, payload, networks)


def _aliases(
    stack: Stack, service: Service, network: str, declared: tuple[str, ...], *, released: bool
) -> tuple[str, ...]:
    # On a shared network two stacks may both have a "db"; and a candidate must not answer to the live one's name.
    own = () if released or stack.networks[network].external else (service.name,)
    return tuple(dict.fromkeys((*own, *declared)))


def _payload(stack: Stack, service: Service, *, image: str, labels: Mapping[str, str]) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "Image": image,
        "Cmd": list(service.command) if service.command is not None else None,
        "Entrypoint": list(service.entrypoint) if service.entrypoint is not None else None,
        "Env": sorted(f"{key}={value}" for key, value in service.environment.items()),
        "User": service.user or None,
        "WorkingDir": service.working_dir or None,
        "Hostname": service.hostname or None,
        "Labels": dict(sorted(labels.items())),
        "ExposedPorts": {port: {} for port in (*service.expose, *(f"{p.target}/{p.protocol}" for p in service.ports))},
        "Healthcheck": _healthcheck(service),
        "StopSignal": service.stop_signal or None,
        "StopTimeout": math.ceil(service.stop_grace_period),
        "HostConfig": _host_config(stack, service),
    }
    return {key: value for key, value in payload.items() if value not in (None, {}, [])}


def _healthcheck(service: Service) -> dict[str, Any] | None:
    check = service.healthcheck
    if check is None:
        return None
    return {
        "Test": list(check.test),
        "Interval": int(check.interval * _NANO),
        "Timeout": int(check.timeout * _NANO),
        "Retries": check.retries,
        "StartPeriod": int(check.start_period * _NANO),
        "StartInterval": int(check.start_interval * _NANO) if check.start_period else 0,
    }


def _host_config(stack: Stack, service: Service) -> dict[str, Any]:
    ports: dict[str, list[dict[str, str]]] = {}
    for port in service.ports:
        ports.setdefault(f"{port.target}/{port.protocol}", []).append(
            {"HostIp": port.host_ip, "HostPort": str(port.published)}
        )
    config: dict[str, Any] = {
        "NetworkMode": stack.network_of(service.networks[0].network),
        "RestartPolicy": {"Name": service.restart, "MaximumRetryCount": 0},
        "PortBindings": ports,
        "Mounts": [_mount(stack, mount) for mount in service.mounts if mount.kind != "tmpfs"]
        + [_file(stack, file) for file in service.files],
        # A read-only root with a private /tmp is the default; the stack file loosens it by naming it.
        "Tmpfs": {
            **({"/tmp": "size=64m,mode=1777"} if service.read_only else {}),  # noqa: S108
            **{m.target: f"size={m.size}" if m.size else "" for m in service.mounts if m.kind == "tmpfs"},
        },
        "ReadonlyRootfs": service.read_only,
        "Init": service.init or None,
        "CapAdd": list(service.cap_add),
        "CapDrop": list(service.cap_drop),
        "SecurityOpt": list(service.security_opt),
        "Memory": service.mem_limit,
        "MemorySwap": service.mem_limit,
        "NanoCpus": int(service.cpus * _NANO),
        "PidsLimit": service.pids_limit,
        "ExtraHosts": list(service.extra_hosts),
        "ShmSize": service.shm_size or None,
        "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in service.ulimits.items()],
    }
    if service.logging_driver:
        config["LogConfig"] = {"Type": service.logging_driver, "Config": dict(service.logging)}
    return {key: value for key, value in config.items() if value not in (None, {}, [])}


def _mount(stack: Stack, mount: Mount) -> dict[str, Any]:
    source = stack.volumes[mount.source].name if mount.kind == "volume" else mount.source
    return {"Type": mount.kind, "Source": source, "Target": mount.target, "ReadOnly": mount.read_only}


def _file(stack: Stack, file: FileMount) -> dict[str, Any]:
    if file.kind == "config":
        source = config_path(stack.name, file.source, stack.configs[file.source])
    else:
        source = secret_path(stack.name, file.source)
    return {"Type": "bind", "Source": source, "Target": file.target, "ReadOnly": True}


def differences(wanted: Mapping[str, Any], observed: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs, field by field, in words: ``environment ODOO_X changed``."""
    found: list[str] = []
    for key in sorted(set(wanted) | set(observed)):
        path = f"{prefix}{key}"
        left, right = wanted.get(key), observed.get(key)
        if left == right:
            continue
        if key == "Env":
            found += _environment_differences(left or [], right or [])
        elif isinstance(left, Mapping) and isinstance(right, Mapping):
            found += differences(left, right, f"{path}.")
        else:
            found.append(f"{path} {'added' if right is None else 'removed' if left is None else 'changed'}")
    return found


def _environment_differences(wanted: list[str], observed: list[str]) -> list[str]:
    left, right = (dict(entry.split("=", 1) for entry in entries) for entries in (wanted, observed))
    found = []
    for name in sorted(set(left) | set(right)):
        if left.get(name) != right.get(name):
            verb = "added" if name not in right else "removed" if name not in left else "changed"
            found.append(f"environment {name} {verb}")
    return found
