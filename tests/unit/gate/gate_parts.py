"""An environment's gate, a release, and what was said of it; by default everything that production asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from plugins.module_utils.model.gate import Checked, Gate, Subject
from plugins.module_utils.model.signers import Signer
from plugins.module_utils.model.statement import (
    ACCEPTED,
    APPROVED,
    BREAK_GLASS,
    CLOSED,
    REQUESTED,
    VERIFIED,
    WITHDRAWN,
    Statement,
)
from plugins.module_utils.plan.gate import Decision, judge

# A Tuesday, 15:30 in Tokyo.
NOW = datetime(2026, 12, 8, 6, 30, tzinfo=UTC)
DIGEST, OTHER_DIGEST = "sha256:" + "a" * 64, "sha256:" + "b" * 64
SUBJECT = Subject("ocr", "sha-724f892", {"web": DIGEST}, "d" * 64)
REASON = "customers cannot upload invoices since noon and the fix is this one"

GATE = Gate(
    required=True,
    verified_in="staging",
    signers=(
        Signer("developer", (REQUESTED, ACCEPTED, BREAK_GLASS, WITHDRAWN, CLOSED, APPROVED), "SHA256:1"),
        Signer("approver", (APPROVED, ACCEPTED, CLOSED, WITHDRAWN), "SHA256:2"),
        Signer("staging-1", (VERIFIED,), "SHA256:3"),
    ),
)


def at(**before: float) -> str:
    """A time before now, as statements have it."""
    return (NOW - timedelta(**before)).isoformat().replace("+00:00", "Z")


def said(kind: str, **changed: Any) -> Statement:
    """A statement of a kind as it ought to be."""
    by = {VERIFIED: "staging-1", APPROVED: "approver", CLOSED: "approver"}.get(kind, "developer")
    common: dict[str, Any] = {
        "stack": SUBJECT.stack,
        "release": SUBJECT.release,
        "digests": SUBJECT.digests,
        "definition": SUBJECT.definition,
        "environment": "staging" if kind in (VERIFIED, ACCEPTED) else "production",
        "by": by,
        "at": at(minutes=1),
        "why": REASON,
        "id": kind,
        "details": {"action": "deploy"} if kind in (REQUESTED, BREAK_GLASS) else {},
    }
    return Statement(kind=kind, **{**common, **changed})


COMPLETE: Mapping[str, Statement] = {kind: said(kind) for kind in (VERIFIED, ACCEPTED, APPROVED, REQUESTED)}


def checked(statements: Mapping[str, Statement] | None = None, *more: Statement) -> list[Checked]:
    """Statements whose signatures are good."""
    return [Checked(one) for one in (*(COMPLETE if statements is None else statements).values(), *more)]


def decided(statements: list[Checked], *, now: datetime = NOW, requester: str = "developer", **gate: Any) -> Decision:
    """What the gate of production says of the release."""
    return judge(SUBJECT, "production", statements, requester, now, replace(GATE, **gate))
