"""What a service has mounted: volumes, paths of the host, memory, and configs and secrets as files."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from .document import Node
from .host_path import refuse_dangerous
from .refusals import BIND_REFUSALS, FILE_REFUSALS, MOUNT_REFUSALS
from .vocabulary import Key, Keys

VOLUME_NAME = r"[a-z0-9][a-z0-9_-]*"
PROPAGATIONS = ("private", "rprivate", "slave", "rslave")
SHARED = ("shared", "rshared")
_TARGET = r"/[^:\x00]+"
_OCTAL = r"(?:0o?)?[0-7]{3,4}"


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
class FileMount:
    """A Compose config or secret as a read-only file in the container."""

    kind: str  # config | secret
    source: str
    target: str


def _octal(node: Node) -> str:
    # YAML leaves 0444 as text, because its number would be another one; 444 without the zero is that other one.
    if not isinstance(node.value, str):
        node.reject(f"{node.value} is not a mode", "write it in octal with a leading zero, such as 0444 or 01777")
        return ""
    text = node.text(pattern=_OCTAL, hint="a mode in octal, such as 0444 or 01777")
    return text.removeprefix("0o").lstrip("0").rjust(3, "0") if text else ""


def _placed_mode(node: Node) -> str:
    mode = _octal(node)
    if mode not in ("", "444"):
        node.reject(
            f"mode {node.value} cannot be given", "files are placed readable for everyone in the container: 0444"
        )
    return mode


def _propagation(node: Node) -> str:
    if node.value in SHARED:
        node.reject("a shared mount reaches back into the host (CIS 5.20)", "use rslave or rprivate")
        return ""
    return node.choice(PROPAGATIONS)


def _never_made(node: Node) -> bool:
    if node.boolean():
        node.reject("a missing host path is an error, never made in silence", "make the path on the host, by its role")
    return False


def _subpath(node: Node) -> str:
    text = node.text()
    if not text or text.startswith("/") or ".." in text.split("/"):
        node.reject(f"'{text}' is not a path below the volume", "write it relative, without ..")
    return text


BIND_KEYS = Keys(
    Key("propagation", " | ".join(PROPAGATIONS), "How mounts made later are seen", _propagation, default="rprivate"),
    Key("create_host_path", "false", "Accepted as false only: a missing host path is an error", _never_made),
    refused=BIND_REFUSALS,
)
VOLUME_KEYS = Keys(
    Key("nocopy", "true | false", "Leave a new volume empty instead of copying what the image has there", Node.boolean),
    Key("subpath", "relative path", "Mount a directory of the volume, which must be there", _subpath),
)
TMPFS_KEYS = Keys(
    Key("size", "size", "The most it may hold", Node.size, default="half of the host's memory, within mem_limit"),
    Key("mode", "octal", "Permission bits of its root", _octal, default="1777"),
)
MOUNT_KEYS = Keys(
    Key("type", "volume | bind | tmpfs", "What is mounted", required=True),
    Key("source", "volume's name or absolute host path", "What of it; nothing for tmpfs"),
    Key("target", "absolute path", "Where in the container", required=True),
    Key("read_only", "true | false", "Whether it may only be read", default="false"),
    Key("bind", "mapping", "Options of a bind mount", keys=BIND_KEYS),
    Key("volume", "mapping", "Options of a volume", keys=VOLUME_KEYS),
    Key("tmpfs", "mapping", "Options of a tmpfs", keys=TMPFS_KEYS),
    refused=MOUNT_REFUSALS,
)
FILE_KEYS = Keys(
    Key("source", "name", "Which config or secret of the stack", required=True),
    Key("target", "path", "Where in the container; relative to the default folder unless it begins with /"),
    Key("mode", "0444", "Permission bits, which are always these", _placed_mode, default="0444"),
    refused=FILE_REFUSALS,
)
_OPTIONS = {"bind": BIND_KEYS, "volume": VOLUME_KEYS, "tmpfs": TMPFS_KEYS}


def volumes(node: Node) -> tuple[Mount, ...]:
    """Read ``volumes`` in both forms. Errors are collected in the node."""
    read = (_long_volume(item) if isinstance(item.value, Mapping) else _short_volume(item) for item in node.items())
    return tuple(mount for mount in read if mount)


def _short_volume(node: Node) -> Mount | None:
    parts = node.text().split(":")
    if len(parts) not in (2, 3) or not re.fullmatch(_TARGET, parts[1]):
        node.reject(f"'{node.value}' is not a mount", "write name:/path[:ro] or /host/path:/path[:ro]")
        return None
    kind = "bind" if parts[0].startswith("/") else "volume"
    if kind == "volume" and not re.fullmatch(VOLUME_NAME, parts[0]):
        node.reject(f"'{parts[0]}' is neither a volume's name nor an absolute host path")
        return None
    mount = Mount(kind, parts[1], parts[0])
    for option in parts[2].split(",") if len(parts) == 3 else ():
        mount = _with_option(node, mount, option)
    return _checked(node, mount)


def _with_option(node: Node, mount: Mount, option: str) -> Mount:
    if option in ("ro", "rw"):
        return replace(mount, read_only=option == "ro")
    if option == "nocopy" and mount.kind == "volume":
        return replace(mount, nocopy=True)
    if option in (*PROPAGATIONS, *SHARED) and mount.kind == "bind":
        return replace(mount, propagation=_propagation(replace(node, value=option)))
    node.reject(f"mount mode '{option}' is not accepted", "use ro or rw")
    return mount


def _long_volume(node: Node) -> Mount | None:
    keys = MOUNT_KEYS.of(node)
    if "target" not in keys or "type" not in keys:
        node.reject("a mount needs type and target")
        return None
    kind = keys["type"].choice(tuple(_OPTIONS))
    if not kind:
        return None
    source = keys["source"].text() if "source" in keys else ""
    source = source if _check_source(node, kind, source) else ""
    options = {}
    for other in _OPTIONS:
        if other in keys and other == kind:
            options = _OPTIONS[kind].read(keys[other])
        elif other in keys:
            keys[other].reject(f"'{other}' says nothing about a {kind}", "take it away")
    options.pop("create_host_path", None)
    target = keys["target"].text(pattern=_TARGET, hint="an absolute path")
    read_only = keys["read_only"].boolean() if "read_only" in keys else False
    return _checked(node, Mount(kind, target, source, read_only, **options))


def _check_source(node: Node, kind: str, source: str) -> bool:
    pattern, fault, do = _SOURCES[kind]
    if not re.fullmatch(pattern, source):
        node.reject(fault, do)
        return False
    return True


_SOURCES = {
    "bind": (r"/.*", "a bind mount's source is an absolute path of the host", "write source: /…"),
    "volume": (VOLUME_NAME, "a volume's source is its name in this file", "name it, and declare it under volumes:"),
    "tmpfs": ("", "a tmpfs has no source", "take source away"),
}


def _checked(node: Node, mount: Mount) -> Mount:
    if mount.kind == "bind" and mount.source:
        refuse_dangerous(node, mount.source, read_only=mount.read_only)
    return replace(mount, target=_placed(node, mount.target))


def _placed(node: Node, path: str) -> str:
    """A path in the container without detours."""
    real = "/" + posixpath.normpath(path).lstrip("/") if path else ""
    if real == "/":
        node.reject("nothing can be mounted over the root", "name a path below it")
    return real


def tmpfs(node: Node) -> tuple[Mount, ...]:
    """Read ``tmpfs``: one path or a list, each with ``:size=16m,mode=1777`` if need be."""
    entries = [node] if isinstance(node.value, str) else list(node.items())
    return tuple(_tmpfs_mount(entry) for entry in entries)


def _tmpfs_mount(node: Node) -> Mount:
    path, _, options = node.text().partition(":")
    if not re.fullmatch(_TARGET, path):
        node.reject(f"'{path}' is not an absolute path")
    mount = Mount("tmpfs", _placed(node, path))
    for option in filter(None, options.split(",")):
        key, _, value = option.partition("=")
        if key == "size":
            mount = replace(mount, size=replace(node, value=value).size())
        elif key == "mode":
            mount = replace(mount, mode=_octal(replace(node, value=value)))
        else:
            node.reject(f"'{option}' is not accepted", "size= and mode= can be said; nosuid, nodev and noexec are set")
    return mount


def files(kind: str, folder: str) -> Callable[[Node], tuple[FileMount, ...]]:
    """The reader of ``configs`` or ``secrets``; ``folder`` is where a relative target lies."""

    def read(node: Node) -> tuple[FileMount, ...]:
        return tuple(_file(item, kind, folder) for item in node.items())

    return read


def _file(node: Node, kind: str, folder: str) -> FileMount:
    if isinstance(node.value, Mapping):
        keys = FILE_KEYS.of(node)
        source = keys["source"].text() if "source" in keys else ""
        target = keys["target"].text(source, pattern=r"[^:\x00]+", hint="a path") if "target" in keys else source
        if "mode" in keys:
            _placed_mode(keys["mode"])
    else:
        source = target = node.text()
    if not source:
        node.reject(f"a {kind} needs a source")
    return FileMount(kind, source, _placed(node, posixpath.join(folder, target)) if target else "")


def refuse_same_place(node: Node, mounts: tuple[Mount, ...], placed: tuple[FileMount, ...]) -> None:
    """Collect an error for each path in the container that two things are mounted at."""
    targets = [target for target in (*(m.target for m in mounts), *(f.target for f in placed)) if target]
    for target in dict.fromkeys(targets):
        if targets.count(target) > 1:
            node.reject(f"{targets.count(target)} mounts are at {target}", "give each a path of its own")
