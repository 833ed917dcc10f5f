"""What the doorways share: a host with all its gateways, and the wire form of a stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .gateway.edge import EdgeFiles
from .gateway.engine import Engine
from .gateway.host_secrets import HostSecrets
from .gateway.host_state import HostState
from .model.host import WantedStack
from .model.stack import parse_tree
from .release import Request
from .runtime import ContainerRuntime
from .transaction import Host

CERT_RESOLVER = "acme"


def host_for(environment: str, registry_auth: str = "") -> Host:
    """This host, with its engine answering; ``registry_auth`` is JSON, as the controller sent it."""
    engine = Engine()
    auth: dict[str, str] = json.loads(registry_auth) if registry_auth else {}
    runtime = ContainerRuntime(engine, environment, auth)
    return Host(engine, HostState(), HostSecrets(), EdgeFiles(), runtime, environment, auth, CERT_RESOLVER)


def wanted_from(host: Host, entry: Mapping[str, Any], secrets: Mapping[str, str]) -> WantedStack:
    """A stack as the controller sent it: ``{name, tree, digests, baseline}``."""
    return WantedStack(
        stack=parse_tree(entry["tree"], f"inventories/stacks/{entry['name']}.yml"),
        digests=entry["digests"],
        baseline=entry.get("baseline", ""),
        secret_marks=host.secrets.marks(secrets),
        cert_resolver=host.cert_resolver,
    )


def request_from(host: Host, given: Mapping[str, Any]) -> Request:
    """A request as the controller's action filled it in."""
    return Request(
        wanted=wanted_from(host, given["entry"], given["secrets"]),
        secrets=given["secrets"],
        by=given["requested_by"],
        why=given.get("reason", ""),
    )
