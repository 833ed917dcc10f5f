"""What the doorways share: a host with all its gateways, and the wire form of a stack."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from .gateway.edge import EdgeApi, EdgeFiles, config_errors
from .gateway.engine import Engine
from .gateway.host_secrets import HostSecrets
from .gateway.host_state import HostState
from .model.begun import Watched
from .model.container import EDGE_CONTAINER
from .model.host import WantedStack
from .model.release import Release
from .model.stack import parse_tree
from .runtime import ContainerRuntime, Runtime

CERT_RESOLVER = "acme"
EDGE_NETWORK = "edge"
API_PORT = 8082
READY_LIMIT_S = 90.0
LIVE_LIMIT_S = 10.0


def _unheard(_: Any) -> None:
    """Nobody listens."""


@dataclass
class Host:
    """A host's hands: everything that is touched on it, given.

    ``auth`` is the registry login. ``told`` hears what a transaction does as it does it, ``library`` names the code
    that is kept here to run without a controller, ``transaction`` the one that is to be run, and ``start_watch`` has a
    release watched. ``tell_end`` tells how a transaction ended, and returns warnings; left out, history alone is told.
    """

    engine: Engine
    state: HostState
    secrets: HostSecrets
    files: EdgeFiles
    runtime: Runtime
    environment: str
    auth: Mapping[str, str] = field(default_factory=dict, repr=False)
    cert_resolver: str | None = None
    told: Callable[[Mapping[str, Any]], None] = _unheard
    library: str = ""
    transaction: str = ""
    start_watch: Callable[[Watched], None] = _unheard
    tell_end: Callable[[Release, Mapping[str, Any]], list[str]] | None = None

    def tell(self, release: Release, event: Mapping[str, Any]) -> list[str]:
        """Write how something with a release ended into history, and say it to the ledger; returns warnings."""
        if self.tell_end:
            return self.tell_end(release, event)
        self.state.tell(release.stack, event)
        return []

    def edge_address(self) -> str:
        """Where this host reaches its edge."""
        return self.engine.address(EDGE_CONTAINER, EDGE_NETWORK)

    def edge_api(self) -> EdgeApi:
        """The running edge's own account."""
        return EdgeApi(f"http://{self.edge_address()}:{API_PORT}", self._why_not_live)

    def _why_not_live(self) -> list[Any]:
        return [*self.files.broken(), *config_errors(self.engine.logs(EDGE_CONTAINER, 20))]


def host_for(environment: str, registry_auth: str = "") -> Host:
    """This host, with its engine answering; ``registry_auth`` is JSON, as the controller sent it."""
    engine = Engine()
    auth: dict[str, str] = json.loads(registry_auth) if registry_auth else {}
    runtime = ContainerRuntime(engine, environment, auth)
    host = Host(engine, HostState(), HostSecrets(), EdgeFiles(), runtime, environment, auth, CERT_RESOLVER)
    host.tell_end = partial(_tell_end, host)
    return host


def _tell_end(host: Host, release: Release, event: Mapping[str, Any]) -> list[str]:
    from .vouching import tell_end  # noqa: PLC0415 - it stands on this file, and is seldom needed

    return tell_end(host, release, event)


def wanted_from(host: Host, entry: Mapping[str, Any], secrets: Mapping[str, str]) -> WantedStack:
    """A stack as the controller sent it: ``{name, tree, digests, baseline, stack_file}``."""
    return WantedStack(
        stack=parse_tree(entry["tree"], f"inventories/stacks/{entry['name']}.yml"),
        digests=entry["digests"],
        baseline=entry.get("baseline", ""),
        secret_marks=host.secrets.marks(secrets),
        cert_resolver=host.cert_resolver,
        stack_file=entry.get("stack_file", ""),
    )
