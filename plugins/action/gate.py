"""Controller side of seisei.ops.gate: whether a release may go live, asked before anything is done for it."""

from __future__ import annotations

from typing import Any

from ..module_utils.plan.gate import MIGRATE
from ..plugin_utils.estate import EstateAction
from ..plugin_utils.gate import release_to_pass


class ActionModule(EstateAction):
    """Asks registry and ledger, not the host. Nothing is signed and nothing written by asking."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def act(self) -> dict[str, Any]:
        """What the answer relies on; raises InvalidInput with everything that is missing."""
        if not self.environment.gate.required:
            return {"changed": False, "display": [f"{self.environment.name} has no gate"]}
        passed = release_to_pass(self, what=MIGRATE, only_asking=True)
        return {"changed": False, "display": list(passed.notes)}
