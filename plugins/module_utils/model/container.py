"""A container, wanted and observed, and where on a host what it mounts lies."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import OpsError
from .service import Service

LABEL = "ops.seisei."
CONFIG_ROOT = "/var/lib/seisei/configs"
EDGE_CONTAINER = "edge-traefik"
USUAL_SHARES = 1024  # what a container weighs for processors of which nothing was said (runc(8))
UNNAMED_VOLUME = re.compile(r"[0-9a-f]{64}")  # what the engine calls a volume that nobody named
SECRET_ROOT = "/run/seisei/secrets"  # a path, and on tmpfs


@dataclass(frozen=True)
class WantedContainer:
    """A container as it is to be: its name, the engine's create payload, and its networks with their aliases."""

    name: str
    service: Service
    stack: str
    image: str
    payload: Mapping[str, Any]
    networks: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class ObservedContainer:
    """A container as the engine tells of it.

    ``status`` is the engine's word (running, exited, paused, …), ``exit_code`` how it last ended, ``networks`` what it
    is attached to with its names there; ``told`` and ``image`` are what the engine says of it and of its image.
    """

    name: str
    stack: str
    service: str
    number: int
    status: str
    health: str = ""
    exit_code: int = 0
    networks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict, repr=False)
    image: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def running(self) -> bool:
        """Whether it does its work: neither paused nor between two starts."""
        return self.status == "running"


def config_mark(content: bytes) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of a config's content, as its file's name has them."""
    return hashlib.sha256(content).hexdigest()[:16]


def canonical(value: Any) -> str:
    """JSON that is equal when the values are equal."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(value: Any) -> str:
    """A short name for a value: the first 16 hexadecimal digits of the SHA-256 of its canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def number_from_label(name: str, written: str) -> int:
    """The record number that we wrote into a container's label."""
    try:
        return int(written)
    except ValueError as error:
        raise OpsError(
            f"its label {LABEL}number is not as we write it: {error}",
            where=f"container {name}",
            do=f"find out who made it, remove it with docker rm -f {name}, and converge",
        ) from error
