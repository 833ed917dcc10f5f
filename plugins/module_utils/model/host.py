"""A host, wanted and observed: what plans are made of."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from .container import ObservedContainer
from .errors import OpsError
from .release import Release
from .stack import Stack


@dataclass(frozen=True)
class WantedStack:
    """A declared stack for one host.

    ``digests`` maps an accessory's image (``registry/name:tag``) and a released service's name to a digest;
    ``baseline`` is the release a host without a record starts from; ``secret_marks`` are the keyed fingerprints of the
    values of its secrets, by name; ``stack_file`` is the fingerprint of its file before names were resolved; ``gated``
    says that its first release has to pass this host's gate, so that converging does not put the baseline live.
    """

    stack: Stack
    digests: Mapping[str, str]
    baseline: str = ""
    secret_marks: Mapping[str, str] = field(default_factory=dict)
    cert_resolver: str | None = None
    stack_file: str = ""
    gated: bool = False


@dataclass(frozen=True)
class ObservedNetwork:
    """A network of the engine. ``stack`` is who made it, by its label; empty: not ours."""

    internal: bool = False
    stack: str = ""


@dataclass(frozen=True)
class Observed:
    """A host as it is.

    ``daemon`` are the engine's own settings (daemon.json), whose defaults stand in every container; None: not known.
    ``volumes`` maps a name to the stack that made it (empty: not ours); ``images`` are the pinned references present;
    ``configs`` tells for each file in place whether it still has the content its name says; ``secrets`` are the files
    in place per stack (``NAME.mark``); ``routes`` the edge's file per stack; ``live`` and ``standby`` the records of
    each stack's releases; ``known`` the stacks that this host was converged to; ``unreadable`` why a stack's records
    cannot be read.
    """

    containers: Mapping[str, ObservedContainer] = field(default_factory=dict)
    daemon: Mapping[str, Any] | None = None
    networks: Mapping[str, ObservedNetwork] = field(default_factory=dict)
    volumes: Mapping[str, str] = field(default_factory=dict)
    images: Set[str] = frozenset()
    configs: Mapping[str, bool] = field(default_factory=dict)
    secrets: Mapping[str, Set[str]] = field(default_factory=dict)
    routes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    edge_ready: bool = False
    live: Mapping[str, Release] = field(default_factory=dict)
    standby: Mapping[str, Release] = field(default_factory=dict)
    known: Set[str] = frozenset()
    unreadable: Mapping[str, OpsError] = field(default_factory=dict)

    def of_stack(self, name: str) -> list[ObservedContainer]:
        """The containers of one stack, by name."""
        return [found for _, found in sorted(self.containers.items()) if found.stack == name]
