"""The gate of the host this runs on, as provisioning placed it: what it asks does not come with the request."""

from __future__ import annotations

import json
import os
import re
import syslog
import time
from dataclasses import dataclass
from pathlib import Path

from ..model.document import Node
from ..model.errors import OpsError
from ..model.gate import Gate, parse_gate
from .host_state import ROOT, writing

FOLDER = Path("/etc/seisei")
_REQUESTS = "requests"
_KEPT_S = 3600.0  # a request holds a quarter of an hour, by clocks that may differ a little
_ID = re.compile(r"[0-9a-f]{32}")
_ASK_ANEW = "run the playbook again: each run asks with a signature of its own"


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


def use(request: str, transaction: str, state: Path = ROOT) -> None:
    """Note that a request, or broken glass, lets something begin here: it does so once.

    The same ``transaction`` may come again, over another connection: it was begun then, and is left at that.

    :raises OpsError: when the request was used before, or the disk refuses.
    """
    if not _ID.fullmatch(request):
        raise OpsError(f"'{request[:40]}' cannot be the id of a statement", where=_REQUESTS, do=_ASK_ANEW)
    folder = state / _REQUESTS
    path = folder / request
    with writing(path):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for old in folder.iterdir():
            if time.time() - old.stat().st_mtime > _KEPT_S:
                old.unlink(missing_ok=True)
        try:
            with path.open("x", encoding="utf-8") as handle:  # of two at once, one makes it
                handle.write(transaction)
                handle.flush()
                os.fsync(handle.fileno())
            return
        except FileExistsError:
            begun = path.read_text(encoding="utf-8")
    if not transaction or begun != transaction:
        raise OpsError("this request was used before", where=f"request {request}", do=_ASK_ANEW)


def announce(text: str) -> None:
    """Say something in the host's journal that whoever watches it must not miss."""
    syslog.openlog("seisei-gate")
    syslog.syslog(syslog.LOG_ALERT, " ".join(text.split()))
    syslog.closelog()


_PROVISION = "place it anew: ansible-playbook playbooks/provision.yml"
