"""Controller side of seisei.ops.statement_info: what waits for somebody to say something."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ..module_utils.model.errors import OpsError
from ..module_utils.model.gate import Checked, instant
from ..module_utils.model.masking import mask_text
from ..module_utils.model.statement import APPROVED, REQUESTED, Signed, Statement, signed_from
from ..module_utils.plan.gate import expiry, open_break_glasses, told_open, withdrawn
from ..plugin_utils.estate import EstateAction
from ..plugin_utils.ledger import Ledger
from ..plugin_utils.registered import registered
from ..plugin_utils.statements import GLASS, STANDING, checked, where

_PROPOSED_FOR = timedelta(days=7)


class ActionModule(EstateAction):
    """Needs no connection to a host. That the ledger is away is told, and is no failure: nothing here is decided."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def act(self) -> dict[str, Any]:
        """Broken glass that is open, of whatever stack; approvals that hold, and proposals, of one stack or of all."""
        _, asked = self.validate_argument_spec(
            {
                "stack": {"type": "str", "default": ""},
                "waiting_of": {"type": "str", "default": ""},
                "quiet": {"type": "bool", "default": False},
            }
        )
        nothing: dict[str, Any] = {"rows": [], "display": [], "urgent": []}
        found = self._found(asked["stack"], asked["waiting_of"]) if self.environment.gate.signers else nothing
        urgent = found.pop("urgent")
        if asked["quiet"]:
            found["display"] = []
            for line in urgent:  # to standard error: what is shown may be for a program
                self._display.warning(mask_text(line))
        return {"changed": False, **found, "report": {"open": found["rows"]}}

    def _found(self, stack: str, waiting_of: str) -> dict[str, Any]:
        now = datetime.now(UTC)
        spooled, notes = self._spooled(waiting_of)
        kept: list[Signed] = []
        try:
            kept = Ledger(self.environment).signed()
        except OpsError as error:
            instead = "; below is what waits on hosts" if spooled else ""
            notes = [f"What is open cannot be told by the ledger{instead}: {error}", *notes]
        on_hosts = [one for one in spooled if one not in kept]
        gate = self.environment.gate
        known = checked([*kept, *on_hosts], gate, now, self._matters(stack, now))
        glasses = open_break_glasses(known)
        waiting = self._waiting(known, now)
        rows = [{"open": one.kind, **_row(one)} for one in (*glasses, *waiting)]
        untold = [one for one in glasses if any(f'"id":"{one.id}"' in other.text for other in on_hosts)]
        urgent = [*notes, *(f"Nobody else has looked at it yet: {told_open(one)}" for one in glasses)]
        return {"rows": rows, "display": [*notes, *self._lines(glasses, waiting, untold)], "urgent": urgent}

    def _spooled(self, waiting_of: str) -> tuple[list[Signed], list[str]]:
        """What hosts keep because the ledger was away, and a line where somebody did not say."""
        if not waiting_of:
            return [], []
        told, silent = registered(waiting_of, "to_ledger", self.task_vars)
        notes = [f"No answer from {', '.join(silent)}: what waits there for the ledger is missing."] if silent else []
        return [signed_from(one) for said in told.values() for one in said], notes

    def _matters(self, stack: str, now: datetime) -> Callable[[Statement], bool]:
        """What can be open: glass and what closes it, what was taken back, and the approvals and proposals of late."""
        oldest = now - max(_PROPOSED_FOR, timedelta(seconds=self.environment.gate.valid_for))

        def matters(one: Statement) -> bool:
            late = one.kind in (APPROVED, REQUESTED) and (instant(one.at) or oldest) > oldest
            proposed = one.kind != REQUESTED or bool(one.details.get("proposed"))
            ours = not stack or one.stack == stack
            return one.kind in GLASS or (ours and (one.kind in STANDING or (late and proposed)))

        return matters

    def _waiting(self, known: list[Checked], now: datetime) -> list[Statement]:
        back, gate = withdrawn(known), self.environment.gate
        good = [one.statement for one in known if not one.fault and one.statement.id not in back]
        held = [one for one in good if one.kind == APPROVED and (expiry(one, gate) or now) > now]
        proposed = [one for one in good if one.kind == REQUESTED and one.details.get("proposed")]
        recent = [one for one in proposed if (instant(one.at) or now - _PROPOSED_FOR) > now - _PROPOSED_FOR]
        return [*recent, *held]

    def _lines(self, glasses: list[Statement], waiting: list[Statement], untold: Sequence[Statement] = ()) -> list[str]:
        lines = ["Open: glass was broken, and nobody else has looked at it since"] if glasses else []
        for one in glasses:
            lines.append(f"  {told_open(one)}")
            command = f"ansible-playbook playbooks/close_break_glass.yml {where(self, one.environment)} -e id={one.id}"
            if one in untold:
                tell = f"ansible-playbook playbooks/tell_ledger.yml {where(self, one.environment)}"
                lines.append(f"    The ledger does not know of it yet; when it answers: {tell}")
            lines.append(f'    Next, by somebody else: {command} -e \'{{"reason": "…"}}\'')
        lines += ["Proposed, or approved and still good"] if waiting else []
        for one in waiting:
            word = "proposed" if one.kind == REQUESTED else one.kind
            until = f", until {one.expires}" if one.expires else ""
            lines.append(f"  {one.id[:8]}: {word} {one.stack} {one.release} for {one.environment} by {one.by}{until}")
        return lines


def _row(one: Statement) -> dict[str, Any]:
    names = ("id", "environment", "stack", "release", "by", "at", "expires", "why")
    return {name: getattr(one, name) for name in names}
