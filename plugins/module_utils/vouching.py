"""What this host says to the ledger of its transactions, and which releases it vouches for: its own word, signed.

A host vouches where its environment verifies releases: that its smoke tests passed with exactly these digests and this
stack file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .around import told_around
from .gateway.host_gate import HostGate, read_gate
from .hands import Host
from .model.errors import OpsError
from .model.receipt import DONE
from .model.release import Release
from .model.statement import HAPPENED, VERIFIED
from .spooling import name_of_host, spool_statement

_TAKEN_BACK = "roll_back"


def tell_end(host: Host, release: Release, event: Mapping[str, Any]) -> list[str]:
    """Write how a transaction ended into history, and say it to the ledger; warnings, which undo nothing."""
    ours, warnings = _gate()
    if event.get("outcome") == DONE:
        event = {**event, **told_around(host, release)}
    why = str(event.get("why", ""))
    spooled = spool_statement(host, HAPPENED, release, _details(event), why=why, by=_name(ours))
    host.state.tell(release.stack, {**event, "statement": spooled.id})
    warnings.append(spooled.warning)
    if event.get("outcome") == DONE and event.get("action") != _TAKEN_BACK:
        warnings.append(_vouch(host, release, str(event.get("smoke", "")), ours))
    return [one for one in warnings if one]


def _details(event: Mapping[str, Any]) -> dict[str, Any]:
    """What of an event goes into the ledger beside the release; it leaves out more (see :mod:`spooling`)."""
    return {key: value for key, value in event.items() if key not in ("stack", "release", "digests", "why")}


def vouches() -> bool:
    """Whether this host's word on a release is asked for elsewhere."""
    ours, _ = _gate()
    return _verifies(ours)


def vouch(host: Host, release: Release, smoke: str) -> list[str]:
    """Say that the smoke tests have passed with a release that is live; a line that says so, or why it was not said."""
    ours, warnings = _gate()
    warning = _vouch(host, release, smoke, ours)
    return [*warnings, warning or f"{release.stack}: verified {release.release} again, smoke {smoke}"]


def _vouch(host: Host, release: Release, smoke: str, ours: HostGate | None) -> str:
    if not _verifies(ours):
        return ""
    if not release.stack_file:
        return f"this host does not vouch for {release.release}: which stack file it is of could not be worked out here"
    return spool_statement(host, VERIFIED, release, {"smoke": smoke}, by=_name(ours)).warning


def _verifies(ours: HostGate | None) -> bool:
    return ours is not None and ours.environment == ours.gate.verified_in


def _name(ours: HostGate | None) -> str:
    try:
        return name_of_host(ours.gate if ours else None)
    except OpsError:  # without a key of its own; that it cannot sign is told when it is to
        return name_of_host()


def _gate() -> tuple[HostGate | None, list[str]]:
    try:
        return read_gate(), []
    except OpsError as error:
        return None, [str(error)]
