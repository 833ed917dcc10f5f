"""A container, wanted and observed, and where on a host what it mounts lies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .service import Service

LABEL = "ops.seisei."
CONFIG_ROOT = "/var/lib/seisei/configs"
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

    @property
    def spec(self) -> dict[str, Any]:
        """What is compared with the label of a running container."""
        return {**self.payload, "Networks": {name: list(aliases) for name, aliases in self.networks.items()}}


@dataclass(frozen=True)
class ObservedContainer:
    """``spec`` is what the container was made from (its label), ``networks`` what it is attached to now."""

    name: str
    id: str
    stack: str
    service: str
    number: int
    running: bool
    health: str
    spec: Mapping[str, Any]
    networks: frozenset[str]


def canonical(value: Any) -> str:
    """JSON that is equal when the values are equal."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def fingerprint(value: Any) -> str:
    """A short name for a value: the first 16 hexadecimal digits of the SHA-256 of its canonical JSON."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]
