"""Mounts in the words of the stack file, from each of the three places where an engine tells of them: pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from ..model.container import CONFIG_ROOT, SECRET_ROOT, UNNAMED_VOLUME
from .notation import byte_count, mapping_at, size

FILES = ("configs", "secrets")


def mount_settings(config: Mapping[str, Any], host: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Mounts by their target, with configs and secrets told apart by where they lie on the host."""
    found: dict[str, dict[str, Any]] = {}
    for bind in host.get("Binds") or ():
        target, mount = _bind(str(bind))
        found[target] = mount
    for target, options in mapping_at(host, "Tmpfs").items():
        found[posixpath.normpath(target)] = _tmpfs(str(options))
    for mount in host.get("Mounts") or ():
        found[posixpath.normpath(mount["Target"])] = _mount(mount)
    declared, images = (set(map(posixpath.normpath, mapping_at(of, "Volumes"))) for of in (config, own))
    # A replacement carries on what the image, or the one before it, had as a volume that nobody named.
    found = {target: mount for target, mount in found.items() if not _is_unnamed(mount)}
    found |= {target: {"kind": "volume"} for target in declared - images - set(found)}
    files = {target: file for target, mount in found.items() if (file := _file(mount))}
    return {
        "mounts": {target: mount for target, mount in found.items() if target not in files},
        **{kind: {target: name for target, (of, name) in files.items() if of == kind} for kind in FILES},
    }


def _is_unnamed(mount: Mapping[str, Any]) -> bool:
    return mount["kind"] == "volume" and UNNAMED_VOLUME.fullmatch(mount.get("source", "")) is not None


def _file(mount: Mapping[str, Any]) -> tuple[str, str] | None:
    """``configs`` or ``secrets``, and ``name.mark``, of a read-only file below our roots."""
    if mount["kind"] != "bind" or not mount.get("read_only"):
        return None
    folder, name = posixpath.split(mount["source"])
    if posixpath.dirname(folder) == CONFIG_ROOT:
        mark, _, name = name.partition("-")
        return "configs", f"{name}.{mark}"
    return ("secrets", name) if posixpath.dirname(folder) == SECRET_ROOT else None


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of ``HostConfig.Mounts``."""
    bind, volume, tmpfs = (mapping_at(mount, f"{kind}Options") for kind in ("Bind", "Volume", "Tmpfs"))
    return _described(
        mount.get("Type", ""),
        mount.get("Source", ""),
        read_only=bool(mount.get("ReadOnly")),
        propagation=bind.get("Propagation", ""),
        recursive="off" if bind.get("NonRecursive") else "",
        nocopy=bool(volume.get("NoCopy")),
        subpath=volume.get("Subpath", ""),
        driver=mapping_at(volume, "DriverConfig").get("Name", ""),
        size=size(tmpfs.get("SizeBytes")),
        mode=f"{tmpfs['Mode']:o}" if tmpfs.get("Mode") else "",
    )


def _bind(text: str) -> tuple[str, dict[str, Any]]:
    """An entry of ``HostConfig.Binds``: ``source:target[:options]``."""
    source, target, options = (*text.split(":"), "")[:3]
    words = set(filter(None, options.split(","))) - {"rw"}
    propagation = next((word for word in words if re.fullmatch(r"r?(shared|slave|private)", word)), "")
    return posixpath.normpath(target), _described(
        "bind" if source.startswith("/") else "volume",
        source,
        read_only="ro" in words,
        propagation=propagation,
        nocopy="nocopy" in words,
        options=",".join(sorted(words - {"ro", "nocopy", propagation})),
    )


def _tmpfs(text: str) -> dict[str, Any]:
    """The options of an entry of ``HostConfig.Tmpfs``: ``size=64m,mode=1777``."""
    options = dict(option.partition("=")[::2] for option in filter(None, text.split(",")))
    said, mode = options.pop("size", ""), options.pop("mode", "")
    return _described(
        "tmpfs",
        read_only=options.pop("ro", None) is not None,
        size=size(byte_count(said)) or said,
        mode=mode.lstrip("0"),
        options=",".join(sorted(f"{key}={value}" if value else key for key, value in options.items() if key != "rw")),
    )


def _described(
    kind: str, source: str = "", *, read_only: bool = False, propagation: str = "", **more: Any
) -> dict[str, Any]:
    """A mount without what is so by itself: binds are private unless said otherwise."""
    found = {
        "kind": kind,
        "source": posixpath.normpath(source) if kind == "bind" else source,
        "read_only": read_only,
        "propagation": "" if propagation == "rprivate" else propagation,
        **more,
    }
    return {key: value for key, value in found.items() if value not in ("", False)}
