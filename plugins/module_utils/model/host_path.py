"""Paths of the host that a container may not have: who holds one of them holds the host (CIS 5.6, 5.20, 5.32)."""

from __future__ import annotations

import posixpath
import re

from .document import Node

# What lies at or below these is refused, and so is what they lie in: /var would bring /var/lib/docker along.
_REFUSED = {
    "/proc": "the kernel's own view of every process",
    "/sys": "the kernel's settings and devices",
    "/dev": "the host's devices",
    "/run": "sockets of the host, the engine's among them",
    "/var/run": "sockets of the host, the engine's among them",
    "/var/lib/docker": "the engine's own data",
    "/var/lib/containerd": "the engine's own data",
    "/var/lib/containers": "the engine's own data",
    "/boot": "what the host starts from",
    "/root": "the home of root, with its keys",
    "/home": "the homes of the operators, with their keys",
    "/etc/shadow": "the host's passwords",
    "/etc/ssh": "the host's keys",
    "/etc/sudoers": "who may become root",
    "/etc/sudoers.d": "who may become root",
    "/etc/docker": "the engine's settings",
    "/var/lib/seisei": "our own records, locks and keys",
}
_ALLOWED = re.compile(r"/var/lib/seisei/edge/[^/]+(?:/.*)?")
_SOCKETS = re.compile(r"(?:docker|containerd|podman|crio|cri-dockerd|buildkitd)\.sock")
# The host itself runs from here.
_READ_ONLY = ("/etc", "/usr", "/bin", "/sbin", "/lib", "/lib64")


def refuse_dangerous(node: Node, path: str, *, read_only: bool) -> None:
    """Collect an error when a bind mount of ``path`` would give the host away. Links on the host are not followed."""
    real = posixpath.normpath(re.sub(r"/+", "/", path))
    if _SOCKETS.fullmatch(posixpath.basename(real)):
        node.reject(f"{path} is an engine's socket: who holds it is root of the host (CIS 5.32)", _DO)
    elif not _ALLOWED.fullmatch(real) and (fault := _fault(real)):
        node.reject(f"{path} gives the host away: {fault}", _DO)
    elif not read_only and any(_within(real, folder) for folder in _READ_ONLY):
        node.reject(f"{path} belongs to the host's own system", "mount it read-only: add :ro, or read_only: true")


_DO = "use a named volume, a config or a secret"


def _fault(path: str) -> str:
    for refused, what in _REFUSED.items():
        if _within(path, refused):
            return what
        if _within(refused, path):
            return f"{refused} lies in it, {what}"
    return ""


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def refused_paths() -> dict[str, str]:
    """Every refused path and what it is, for the reference page."""
    return {"/": "everything", **_REFUSED}
