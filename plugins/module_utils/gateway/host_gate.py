"""The gate of the host this runs on, as provisioning placed it: what it asks does not come with the request."""

from __future__ import annotations

import json
import syslog
from dataclasses import dataclass
from pathlib import Path

from ..model.document import Node
from ..model.errors import OpsError
from ..model.gate import Gate, parse_gate

FOLDER = Path("/etc/seisei")


@dataclass(frozen=True)
class HostGate:
    """The environment that this host belongs to, and its gate."""

    environment: str
    gate: Gate


def read_gate(folder: Path = FOLDER) -> HostGate | None:
    """The gate of this host; None when none was placed.

    Raises OpsError when it cannot be read: a gate that is damaged is shut.
    """
    policy = folder / "gate.json"
    try:
        if not policy.exists():
            return None
        found = json.loads(policy.read_text(encoding="utf-8"))
        texts = {name: (folder / name).read_text(encoding="utf-8") for name in ("allowed_signers", "revoked_keys")}
        node = Node({**found["gate"], **texts}, str(policy))
        environment = str(found["environment"])
        if not environment:  # provisioned outside of any environment, as roles are when they are tried
            return None
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise OpsError(f"the gate of this host cannot be read ({error!r})", where=str(folder), do=_PROVISION) from error
    gate = parse_gate(node)
    node.finish()
    return HostGate(environment, gate)


def announce(text: str) -> None:
    """Say something in the host's journal that whoever watches it must not miss."""
    syslog.openlog("seisei-gate")
    syslog.syslog(syslog.LOG_ALERT, " ".join(text.split()))
    syslog.closelog()


_PROVISION = "place it anew: ansible-playbook playbooks/provision.yml"
