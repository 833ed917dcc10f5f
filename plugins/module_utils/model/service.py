"""A service of a stack: the part of the Compose specification that we implement, key by key (see service_keys)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .document import Node
from .health import Healthcheck
from .limits import NO_NEW_PRIVILEGES, check_memory, join_deploy
from .mount import FileMount, Mount, refuse_same_place
from .networking import Attachment
from .port import Port
from .service_keys import SERVICE_KEYS

NAME_PATTERN = r"[a-z0-9][a-z0-9_-]*"


@dataclass(frozen=True)
class Service:
    """What one container is to be. Zero or empty means: not said, the hardened default applies."""

    name: str
    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    working_dir: str = ""
    hostname: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    expose: tuple[str, ...] = ()  # 8069/tcp
    networks: tuple[Attachment, ...] = ()
    mounts: tuple[Mount, ...] = ()
    files: tuple[FileMount, ...] = ()
    depends_on: Mapping[str, str] = field(default_factory=dict)
    healthcheck: Healthcheck | None = None
    restart: str = "unless-stopped"
    restart_retries: int = 0
    init: bool = False
    stop_signal: str = ""
    stop_grace_period: float = 10
    read_only: bool = True
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ("ALL",)
    security_opt: tuple[str, ...] = (NO_NEW_PRIVILEGES,)
    mem_limit: int = 512 * 1024**2
    mem_reservation: int = 0
    memswap_limit: int = 0  # memory and swap together; 0: as much as mem_limit, so no swap; -1: all there is
    cpus: float = 1.0
    pids_limit: int = 256
    logging: Mapping[str, str] = field(default_factory=dict)
    logging_driver: str = ""
    extra_hosts: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_opt: tuple[str, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    ulimits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    shm_size: int = 0


def parse_service(name: str, node: Node) -> Service:
    """Read one entry of ``services``. Errors are collected in the node's document."""
    if not re.fullmatch(NAME_PATTERN, name):
        node.reject(f"'{name}' is not a service name", "use lower-case letters, digits, '-' and '_'")
    given = node.value if isinstance(node.value, Mapping) else {}
    if given.get("image") in (None, ""):
        node.child("image", None).reject("a service needs an image", "add image: <repository>:<tag>")
    service = Service(name, **{"image": "", **_fields(node)})
    if given.get("healthcheck") is None:
        node.reject(
            "no health check is declared", "add healthcheck:, or give it up by name: healthcheck: {disable: true}"
        )
    refuse_same_place(node, service.mounts, service.files)
    check_memory(node, service.mem_limit, service.mem_reservation, service.memswap_limit)
    return service


def _fields(node: Node) -> dict[str, Any]:
    """What the keys say, as fields of a Service."""
    values = {
        name: SERVICE_KEYS[name].read(value)  # type: ignore[misc]
        for name, value in SERVICE_KEYS.of(node).items()
        if value.value is not None  # nothing behind a key: as if it were not there
    }
    for field_name, keys in (("mounts", ("volumes", "tmpfs")), ("files", ("configs", "secrets"))):
        values[field_name] = tuple(item for key in keys for item in values.pop(key, ()))
    if "restart" in values:
        values["restart"], values["restart_retries"] = values["restart"]
    if "logging" in values:
        said = values["logging"]
        values["logging_driver"], values["logging"] = said.get("driver", ""), said.get("options", {})
    join_deploy(node, values)
    return values


__all__ = [
    "NAME_PATTERN", "SERVICE_KEYS", "Attachment", "FileMount", "Healthcheck", "Mount", "Port", "Service",
    "parse_service",
]  # fmt: skip
