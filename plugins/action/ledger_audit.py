"""Controller side of seisei.ops.ledger_audit: verify all of the ledger, with the hosts' heads as witnesses."""

from __future__ import annotations

from typing import Any

from ..module_utils.model.ledger import head_from
from ..module_utils.plan.ledger import Witness
from ..plugin_utils.estate import EstateAction
from ..plugin_utils.ledger import Ledger, storage_of
from ..plugin_utils.ledger_audit import audit, gates_of, given_head
from ..plugin_utils.registered import registered


class ActionModule(EstateAction):
    """Needs no connection to a host. Fails when the storage is away; what is wrong with the ledger it returns."""

    _requires_connection = False
    _supports_check_mode = True

    def act(self) -> dict[str, Any]:
        """Findings as rows, and what was looked at."""
        asked, place = self.arguments, self.environment.ledger
        heads, silent = registered(str(asked["heads_of"]), "ledger_head", self.task_vars)
        waiting, _ = registered(str(asked["heads_of"]), "waiting", self.task_vars)
        witnesses = [Witness(f"host {host}", head_from(head)) for host, head in heads.items()]
        ledger, storage = Ledger(self.environment), storage_of(place, self.environment.aws)
        seen = audit(ledger, storage, gates_of(self.task_vars), [*witnesses, *given_head(str(asked.get("head") or ""))])
        lines = [storage.where, *seen.lines()]
        lines += [f"  waiting on {host} to be written: {count}" for host, count in waiting.items() if count]
        lines += [f"  no answer from {', '.join(silent)}: what they know of the ledger is missing"] if silent else []
        rows = seen.rows()
        verdict = "; ".join(str(one) for one in seen.findings) or "the ledger is as it was written"
        report = {"entries": len(seen.chain.entries), "head": seen.chain.head.as_dict(), "findings": rows}
        return {
            "changed": False,
            "display": lines,
            "rows": rows,
            "verdict": verdict,
            "report": {**report, "waiting": waiting, "silent": silent, "warnings": list(seen.loosened)},
        }
