"""A service of a stack: the part of the Compose specification that we implement, key by key.

Every key listed in :data:`SERVICE_KEYS` is implemented fully; every other key is refused with its path and line.
Reference: the Compose specification, chapter "services".
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from .document import Node
from .port import Port, parse_port

NAME_PATTERN = r"[a-z0-9][a-z0-9_-]*"
OUR_LABELS = "ops.seisei."
RESTART_POLICIES = ("no", "always", "on-failure", "unless-stopped")
STARTED, HEALTHY, COMPLETED = "service_started", "service_healthy", "service_completed_successfully"
CONDITIONS = (STARTED, HEALTHY, COMPLETED)


@dataclass(frozen=True)
class Mount:
    """A volume, bind or tmpfs mount. ``source`` is a volume's name or a host path.

    ``size`` (bytes) and ``mode`` (such as ``1777``) are a tmpfs's; ``nocopy`` and ``subpath`` a volume's;
    ``propagation`` a bind's.
    """

    kind: str
    target: str
    source: str = ""
    read_only: bool = False
    size: int = 0
    mode: str = ""
    nocopy: bool = False
    subpath: str = ""
    propagation: str = ""


@dataclass(frozen=True)
class Attachment:
    """Membership of a network, with further names the service answers to there."""

    network: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileMount:
    """A Compose config or secret as a read-only file in the container."""

    kind: str  # config | secret
    source: str
    target: str


@dataclass(frozen=True)
class Healthcheck:
    """Durations in seconds."""

    test: tuple[str, ...]
    interval: float = 30
    timeout: float = 30
    retries: int = 3
    start_period: float = 0
    start_interval: float = 5


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
    security_opt: tuple[str, ...] = ("no-new-privileges:true",)
    mem_limit: int = 512 * 1024**2
    mem_reservation: int = 0
    memswap_limit: int = 0  # memory and swap together; 0: as much as mem_limit, so no swap
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
    keys = node.mapping(SERVICE_KEYS)
    if not re.fullmatch(NAME_PATTERN, name):
        node.reject(f"'{name}' is not a service name", "use lower-case letters, digits, '-' and '_'")
    if "image" not in keys or keys["image"].value in (None, ""):
        keys.get("image", node).reject("a service needs an image", "add image: <repository>:<tag>")
    read: dict[str, object] = {}
    for key, value in keys.items():
        if value.value is not None:  # nothing behind a key: as if it were not there
            read.update(SERVICE_KEYS[key](value))
    for joined in ("mounts", "files"):
        parts = [read.pop(key) for key in (f"{joined}/1", f"{joined}/2") if key in read]
        read[joined] = tuple(item for part in parts for item in part)  # type: ignore[attr-defined]
    if not read.get("image"):
        read["image"] = ""
    return Service(name=name, **read)  # type: ignore[arg-type]


def _text(key: str) -> Callable[[Node], dict[str, object]]:
    return lambda node: {key: node.text()}


def _image(node: Node) -> dict[str, object]:
    image = node.text()
    if image and ("@" in image or ":" not in image.rpartition("/")[2]):
        node.reject(f"'{image}' has no tag", "write <repository>:<tag>; digests are looked up and pinned for you")
    return {"image": image}


def _limit(key: str, read: Callable[[Node], float]) -> Callable[[Node], dict[str, object]]:
    def limit(node: Node) -> dict[str, object]:
        before, found = len(node.errors), read(node)
        if found <= 0 and len(node.errors) == before and node.value is not None:
            node.reject(f"{node.value} is no limit", "name one, or leave the key away for the default")
        return {key: found}

    return limit


def _labels(node: Node) -> dict[str, object]:
    found = pairs(node)
    for name in found:
        if name.startswith(OUR_LABELS):
            node.child(name, None).reject(f"labels that begin with {OUR_LABELS} are ours", "name it otherwise")
    return {"labels": found}


def _texts(key: str) -> Callable[[Node], dict[str, object]]:
    return lambda node: {key: node.texts()}


def pairs(node: Node) -> dict[str, str]:
    """A mapping, or a list of ``KEY=value``: the two forms Compose takes for environment and labels."""
    if isinstance(node.value, list):
        found: dict[str, str] = {}
        for item in node.items():
            key, mark, value = item.text().partition("=")
            if not mark:
                item.reject(f"'{key}' has no value", f"write {key}=value: nothing is taken from the operator's shell")
            found[key] = value
        return found
    return {key: _scalar(value) for key, value in node.mapping().items()}


def _scalar(node: Node) -> str:
    if isinstance(node.value, bool):
        node.reject("true/false is ambiguous as text", f"quote it: '{str(node.value).lower()}'")
        return ""
    if node.value is None:
        node.reject("has no value", "nothing is taken from the operator's shell; write '' for an empty text")
        return ""
    return node.text()


def _words(key: str) -> Callable[[Node], dict[str, object]]:
    def read(node: Node) -> dict[str, object]:
        if not isinstance(node.value, str):
            return {key: node.texts()}
        try:
            return {key: tuple(shlex.split(node.value))}
        except ValueError as error:
            node.reject(f"cannot be split into words: {error}", "close the quotation or write a list")
            return {key: ()}

    return read


def _ports(node: Node) -> dict[str, object]:
    return {"ports": tuple(port for item in node.items() if (port := parse_port(item)))}


def _expose(node: Node) -> dict[str, object]:
    return {"expose": tuple(f"{item.integer(least=1, most=65535)}/tcp" for item in node.items())}


def _networks(node: Node) -> dict[str, object]:
    if isinstance(node.value, Mapping):
        found = []
        for name, value in node.mapping().items():
            keys = value.mapping(("aliases",))
            found.append(Attachment(name, keys["aliases"].texts() if "aliases" in keys else ()))
        return {"networks": tuple(found)}
    return {"networks": tuple(Attachment(item.text()) for item in node.items())}


def _volumes(node: Node) -> dict[str, object]:
    return {"mounts/1": tuple(mount for item in node.items() if (mount := _volume(item)))}


def _volume(node: Node) -> Mount | None:
    if isinstance(node.value, Mapping):
        return _long_volume(node)
    parts = node.text().split(":")
    if len(parts) not in (2, 3) or not parts[1].startswith("/"):
        node.reject(f"'{node.value}' is not a mount", "write name:/path[:ro] or /host/path:/path[:ro]")
        return None
    mode = parts[2] if len(parts) == 3 else "rw"
    if mode not in ("ro", "rw"):
        node.reject(f"mount mode '{mode}' is not accepted", "use ro or rw")
    kind = "bind" if parts[0].startswith("/") else "volume"
    if kind == "volume" and not re.fullmatch(NAME_PATTERN, parts[0]):
        node.reject(f"'{parts[0]}' is neither a volume's name nor an absolute host path")
    return Mount(kind, parts[1], parts[0], mode == "ro")


def _long_volume(node: Node) -> Mount | None:
    keys = node.mapping(("type", "source", "target", "read_only", "tmpfs"))
    if "target" not in keys or "type" not in keys:
        node.reject("a mount needs type and target")
        return None
    size = 0
    if "tmpfs" in keys:
        options = keys["tmpfs"].mapping(("size",))
        size = options["size"].size() if "size" in options else 0
    kind = keys["type"].choice(("volume", "bind", "tmpfs"), "volume")
    source = keys["source"].text() if "source" in keys else ""
    if kind == "bind" and not source.startswith("/"):
        node.reject("a bind mount's source is an absolute path of the host", "write source: /…")
    return Mount(
        kind,
        keys["target"].text(pattern=r"/.*", hint="an absolute path"),
        source,
        keys["read_only"].boolean() if "read_only" in keys else False,
        size,
    )


def _tmpfs(node: Node) -> dict[str, object]:
    entries = [node] if isinstance(node.value, str) else list(node.items())
    return {"mounts/2": tuple(_tmpfs_mount(entry) for entry in entries)}


def _tmpfs_mount(node: Node) -> Mount:
    path, _, options = node.text().partition(":")
    if not path.startswith("/"):
        node.reject(f"'{path}' is not an absolute path")
    size = 0
    for option in filter(None, options.split(",")):
        key, _, value = option.partition("=")
        if key == "size":
            size = replace(node, value=value).size()
        else:
            node.reject(f"'{option}' is not accepted", "only size= can be said")
    return Mount("tmpfs", path, size=size)


def _files(kind: str, folder: str) -> Callable[[Node], dict[str, object]]:
    def read(node: Node) -> dict[str, object]:
        found = []
        for item in node.items():
            if isinstance(item.value, Mapping):
                keys = item.mapping(("source", "target"))
                source = keys["source"].text() if "source" in keys else ""
                target = keys["target"].text() if "target" in keys else source
            else:
                source = target = item.text()
            if not source:
                item.reject(f"a {kind} needs a source")
            found.append(FileMount(kind, source, target if target.startswith("/") else folder + target))
        return {"files/1" if kind == "config" else "files/2": tuple(found)}

    return read


def _depends_on(node: Node) -> dict[str, object]:
    if isinstance(node.value, Mapping):
        found = {}
        for name, value in node.mapping().items():
            keys = value.mapping(("condition",))
            found[name] = keys["condition"].choice(CONDITIONS) if "condition" in keys else CONDITIONS[0]
        return {"depends_on": found}
    return {"depends_on": dict.fromkeys(node.texts(), CONDITIONS[0])}


def _healthcheck(node: Node) -> dict[str, object]:
    keys = node.mapping(("test", "interval", "timeout", "retries", "start_period", "start_interval"))
    if "test" not in keys:
        node.reject("a health check needs a test")
        return {}
    if isinstance(keys["test"].value, str):
        test: tuple[str, ...] = ("CMD-SHELL", keys["test"].text())
    else:
        test = keys["test"].texts()
    if test[:1] not in (("CMD",), ("CMD-SHELL",)):
        keys["test"].reject("a health check's test starts with CMD or CMD-SHELL")
    times = {
        key: keys[key].seconds() for key in ("interval", "timeout", "start_period", "start_interval") if key in keys
    }
    retries = keys["retries"].integer(3, least=1) if "retries" in keys else 3
    return {"healthcheck": Healthcheck(test, retries=retries, **times)}


def _restart(node: Node) -> dict[str, object]:
    return {"restart": node.choice(RESTART_POLICIES, "unless-stopped")}


def _logging(node: Node) -> dict[str, object]:
    keys = node.mapping(("driver", "options"))
    if "options" in keys and "driver" not in keys:
        node.reject("options need a driver", "add driver: json-file, local or journald")
    return {
        "logging_driver": keys["driver"].choice(("json-file", "local", "journald")) if "driver" in keys else "",
        "logging": pairs(keys["options"]) if "options" in keys else {},
    }


def _extra_hosts(node: Node) -> dict[str, object]:
    if isinstance(node.value, Mapping):
        return {"extra_hosts": tuple(f"{name}:{address.text()}" for name, address in node.mapping().items())}
    return {"extra_hosts": tuple(item.replace("=", ":", 1) for item in node.texts())}


def _ulimits(node: Node) -> dict[str, object]:
    found = {}
    for name, value in node.mapping().items():
        if isinstance(value.value, Mapping):
            keys = value.mapping(("soft", "hard"))
            if len(keys) < 2:
                value.reject("needs soft and hard", "write both, or one number for both")
            soft, hard = (keys[key].integer() if key in keys else 0 for key in ("soft", "hard"))
        else:
            soft = hard = value.integer()
        found[name] = (soft, hard)
    return {"ulimits": found}


SERVICE_KEYS: dict[str, Callable[[Node], dict[str, object]]] = {
    "image": _image,
    "command": _words("command"),
    "entrypoint": _words("entrypoint"),
    "environment": lambda node: {"environment": pairs(node)},
    "user": _text("user"),
    "working_dir": _text("working_dir"),
    "hostname": _text("hostname"),
    "labels": _labels,
    "ports": _ports,
    "expose": _expose,
    "networks": _networks,
    "volumes": _volumes,
    "tmpfs": _tmpfs,
    "configs": _files("config", "/"),
    "secrets": _files("secret", "/run/secrets/"),
    "depends_on": _depends_on,
    "healthcheck": _healthcheck,
    "restart": _restart,
    "init": lambda node: {"init": node.boolean()},
    "stop_signal": _text("stop_signal"),
    "stop_grace_period": lambda node: {"stop_grace_period": node.seconds(10)},
    "read_only": lambda node: {"read_only": node.boolean(True)},
    "cap_add": _texts("cap_add"),
    "cap_drop": _texts("cap_drop"),
    "security_opt": _texts("security_opt"),
    "mem_limit": _limit("mem_limit", Node.size),
    "cpus": _limit("cpus", Node.number),
    "pids_limit": lambda node: {"pids_limit": node.integer(256, least=1)},
    "logging": _logging,
    "extra_hosts": _extra_hosts,
    "ulimits": _ulimits,
    "shm_size": lambda node: {"shm_size": node.size()},
}
