"""Paths of the host that a container may have. Who holds another one may hold the host, so it is refused (CIS 5.6)."""

from __future__ import annotations

import posixpath
import re

from .document import Node

# These and what lies below them. Not /opt: the host runs programs from there, the engine's among them.
_DATA = ("/srv", "/mnt", "/media", "/data", "/var/tmp")  # noqa: S108 - nothing is written there from here
# These and what lies below them: nothing in them is anybody's own, but the host itself reads them.
_PUBLIC = ("/etc/hosts", "/etc/localtime", "/etc/ssl/certs", "/etc/timezone", "/usr/share")
_OF_THE_EDGE = re.compile(r"/var/lib/seisei/edge/[^/]+(?:/.*)?")
_SOCKETS = re.compile(r"(?:docker|containerd|podman|crio|cri-dockerd|buildkitd)\.sock")
_INSTEAD = "use a named volume, a config or a secret"
_WHERE = f"keep data below {', '.join(_DATA)}; read-only there are {', '.join(_PUBLIC)}"


def refuse_dangerous(node: Node, path: str, *, read_only: bool) -> None:
    """Collect an error when a bind mount of ``path`` could give the host away. Links on the host are not followed.

    Directories of the edge pass: whose they are is known with the stack's name (see :func:`of_the_edge`).
    """
    real = _real(path)
    if _SOCKETS.fullmatch(posixpath.basename(real)):
        node.reject(f"{path} is an engine's socket: who holds it is root of the host (CIS 5.32)", _INSTEAD)
    elif _within(real, _PUBLIC):
        if not read_only:
            node.reject(f"{path} belongs to the host's own system", "mount it read-only: add :ro, or read_only: true")
    elif not _within(real, _DATA) and not of_the_edge(path):
        node.reject(f"{path} may give the host away: it is no directory for data (CIS 5.6)", f"{_INSTEAD}, or {_WHERE}")


def of_the_edge(path: str) -> bool:
    """Whether a path holds the routes of all stacks, or the keys of their certificates."""
    return bool(_OF_THE_EDGE.fullmatch(_real(path)))


def _real(path: str) -> str:
    """The path without detours."""
    return posixpath.normpath(re.sub(r"/+", "/", path))


def _within(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def allowed_paths() -> dict[str, str]:
    """Every path that can be mounted and how, for the reference page."""
    ways = {**dict.fromkeys(_DATA, "for data"), **dict.fromkeys(_PUBLIC, "read-only")}
    return {**ways, "/var/lib/seisei/edge/<directory>": "by the stack `edge` only"}
