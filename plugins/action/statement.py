"""Controller side of seisei.ops.statement: a person says something about a release, and signs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ..module_utils.model.errors import OpsError
from ..module_utils.model.gate import Checked, Subject, instant, subject_of
from ..module_utils.model.statement import (
    ACCEPTED,
    APPROVED,
    BREAK_GLASS,
    CLOSED,
    REQUESTED,
    VERIFIED,
    WITHDRAWN,
    Statement,
)
from ..module_utils.plan.accepting import differs_from_accepted, lacks_verification
from ..module_utils.plan.gate import (
    difference,
    expiry,
    judge,
    lacks_substance,
    open_break_glasses,
    told_open,
    withdrawn,
)
from ..plugin_utils.estate import EstateAction, stack_definition
from ..plugin_utils.ledger import Ledger
from ..plugin_utils.statements import Signatory, by_id, checked, of_id, of_release, say, signatory, where

SPEC: dict[str, dict[str, Any]] = {
    "kind": {"type": "str", "required": True, "choices": [ACCEPTED, APPROVED, WITHDRAWN, CLOSED]},
    "stack": {"type": "str", "default": ""},
    "release": {"type": "str", "default": ""},
    "digests": {"type": "dict", "default": {}},
    "definition": {"type": "str", "default": ""},
    "id": {"type": "str", "default": ""},
    "reason": {"type": "str", "default": ""},
    "valid_for": {"type": "float"},
}
_TAKEN_BACK = (VERIFIED, ACCEPTED, APPROVED, REQUESTED)


class ActionModule(EstateAction):
    """Needs no connection to a host: what is signed is kept in the ledger."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def act(self) -> dict[str, Any]:
        """The statement as it stands in the ledger; in a rehearsal, as it would."""
        _, asked = self.validate_argument_spec(SPEC)
        kind = asked["kind"]
        me = signatory(self, kind)
        ledger = Ledger(self.environment)
        wanted = of_id(asked["id"]) if asked["id"] else of_release(asked["stack"], asked["release"])
        known = checked(ledger.signed(), self.environment.gate, datetime.now(UTC), wanted)
        say_it: Mapping[str, Callable[..., Statement | None]] = {
            ACCEPTED: self._accepted, APPROVED: self._approved, WITHDRAWN: self._withdrawn, CLOSED: self._closed,
        }  # fmt: skip
        statement = say_it[kind](asked, me, known)
        if statement is None:
            return {"changed": False, "display": [f"{me.name} has said so already, and it holds"]}
        for line in _told(statement):  # before it is signed: a key that wants to be touched is touched for this
            self._display.display(line)
        lines = []
        if not self.rehearsal:
            entry = ledger.append(me.sign(statement))
            lines.append(f"  entry {entry.number} of the ledger")
            lines += self._way_back(statement)
        return {
            "changed": True,
            "display": [*lines, *self._next(statement, known)],
            "report": {"id": statement.id, "kind": kind, "by": me.name, "release": statement.release},
        }

    # -- what is said --------------------------------------------------------------------------------------------------

    def _accepted(self, asked: dict[str, Any], me: Signatory, known: list[Checked]) -> Statement | None:
        """What runs here and was verified is accepted, digest for digest: not what the registry has by now."""
        name, release = asked["stack"], asked["release"]
        if self.environment.gate.verified_in != self.environment.name:
            raise OpsError(
                f"releases are verified and accepted in {self.environment.gate.verified_in or 'no environment'}",
                where=self.environment.name,
                do=f"add --limit {self.environment.gate.verified_in or 'staging'}",
            )
        subject = Subject(name, release, asked["digests"], asked["definition"])
        if lack := lacks_verification(known, subject, self.environment.name, datetime.now(UTC)):
            raise OpsError(
                lack,
                where=f"stack {name}",
                do=f"ansible-playbook playbooks/deploy.yml {where(self, self.environment.name)} -e stack={name}"
                f" -e release={release or 'sha-…'}",
            )
        if self._holds(ACCEPTED, subject, me, known):
            return None
        return say(self, ACCEPTED, subject, me.name, why=asked["reason"])

    def _approved(self, asked: dict[str, Any], me: Signatory, known: list[Checked]) -> Statement | None:
        gate, name, release = self.environment.gate, asked["stack"], asked["release"]
        if not gate.required:
            raise OpsError(
                f"{self.environment.name} asks for no approval",
                where=self.environment.name,
                do="deploy there freely; an approval is given where a gate is, such as --limit production",
            )
        life = asked["valid_for"] or gate.valid_for
        if life > gate.valid_for:
            raise OpsError(
                f"an approval here lives for {gate.valid_for / 3600:g} h at most",
                where="-e valid_for",
                do=f"give {gate.valid_for / 3600:g}h or less, and approve again when it is over",
            )
        digests = self.release_digests(self.stack(name), release)
        subject = Subject(name, release, digests, stack_definition(name))
        if other := differs_from_accepted(known, subject, gate.verified_in):
            raise OpsError(
                other,
                where=f"stack {name} {release}",
                do="find out who moved the tag in the registry; a release that was built anew is a new release",
            )
        if asked["valid_for"] is None and self._holds(APPROVED, subject, me, known):
            return None
        expires = (datetime.now(UTC) + timedelta(seconds=life)).isoformat(timespec="milliseconds")
        return say(self, APPROVED, subject, me.name, why=asked["reason"], expires=expires.replace("+00:00", "Z"))

    def _withdrawn(self, asked: dict[str, Any], me: Signatory, known: list[Checked]) -> Statement | None:
        statement = self._of(asked["id"], known, _TAKEN_BACK)
        if statement.id in withdrawn(known):
            return None
        return say(self, WITHDRAWN, subject_of(statement), me.name, of=statement.id, why=asked["reason"])

    def _closed(self, asked: dict[str, Any], me: Signatory, known: list[Checked]) -> Statement | None:
        glass = self._of(asked["id"], known, (BREAK_GLASS,))
        if glass.id not in {one.id for one in open_break_glasses(known)}:
            return None
        if glass.by == me.name:
            others = ", ".join(name for name in self.environment.gate.who_may(CLOSED) if name != me.name)
            raise OpsError(
                f"{me.name} broke this glass, and somebody else has to look at it",
                where=glass.id,
                do=f"ask one of: {others or 'nobody may, see allowed_signers'}",
            )
        if lack := lacks_substance(asked["reason"], self.environment.gate.least_reason):
            raise OpsError(
                f"what you found says too little: {lack}",
                where="-e reason",
                do="say what was looked at, and what came of it",
            )
        return say(self, CLOSED, subject_of(glass), me.name, of=glass.id, why=asked["reason"])

    def _of(self, number: str, known: list[Checked], kinds: tuple[str, ...]) -> Statement:
        statement = by_id(known, number)
        if statement.kind not in kinds:
            raise OpsError(
                f"it is '{statement.kind}', and this is for: {', '.join(kinds)}",
                where=statement.id,
                do="look up the right id with status.yml or history.yml",
            )
        if statement.environment != self.environment.name:
            raise OpsError(
                f"it is about {statement.environment}, and this run is for {self.environment.name}",
                where=statement.id,
                do=f"add {where(self, statement.environment)}",
            )
        return statement

    # -- what holds already, and what comes next -----------------------------------------------------------------------

    def _holds(self, kind: str, subject: Subject, me: Signatory, known: list[Checked]) -> bool:
        """Whether the same person has said the same, and it holds for more than half of its life."""
        soon = datetime.now(UTC) + timedelta(seconds=self.environment.gate.valid_for / 2)
        return any(
            not one.fault
            and (one.statement.kind, one.statement.by, one.statement.environment)
            == (kind, me.name, self.environment.name)
            and one.statement.id not in withdrawn(known)
            and not difference(one.statement, subject)
            and (kind != APPROVED or (expiry(one.statement, self.environment.gate) or soon) > soon)
            for one in known
        )

    def _way_back(self, statement: Statement) -> list[str]:
        if statement.kind not in (ACCEPTED, APPROVED):
            return []
        command = f"ansible-playbook playbooks/withdraw.yml {where(self, statement.environment)} -e id={statement.id}"
        return [f'  to take it back: {command} -e \'{{"reason": "…"}}\'']

    def _next(self, statement: Statement, known: list[Checked]) -> list[str]:
        if statement.kind == CLOSED:
            left = open_break_glasses([*known, Checked(statement)])
            return [f"  still open: {told_open(one)}" for one in left]
        if statement.kind != APPROVED:
            return []
        gate, name = self.environment.gate, self.environment.name
        now = instant(statement.at) or datetime.now(UTC)
        # Who approves breaks no glass; what somebody broke before would be taken for a try that failed.
        ordinary = [one for one in known if one.statement.kind != BREAK_GLASS]
        decision = judge(subject_of(statement), name, [*ordinary, Checked(statement)], "", now, gate)
        lacking = [one.what for one in decision.missing if one.kind != REQUESTED]
        return [f"  before it can go live: {what}" for what in lacking]


def _told(statement: Statement) -> list[str]:
    digests = ", ".join(f"{name} {digest}" for name, digest in sorted(statement.digests.items()))
    until = f", until {statement.expires}" if statement.expires else ""
    about = f"{statement.stack} {statement.release} in {statement.environment}"
    lines = [f"{statement.by}: {statement.kind} {about}{until} (id {statement.id})"]
    return [*lines, f"  {digests}; stack file {statement.definition[:12]}"]
