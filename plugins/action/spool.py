"""Controller side of seisei.ops.spool: fetch what waits on the host, write it into the ledger, let the host drop it."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.estate import EstateAction
from ..plugin_utils.ledger_errand import carry


class ActionModule(EstateAction):
    """Fails when the ledger is away or not as it was; the host keeps everything then."""

    _supports_check_mode = True

    def act(self) -> dict[str, Any]:
        """What was written, and the head that the host knows now."""
        if self.arguments.get("state") == "told":
            return self.run_module("spool", {"state": "told"})
        carried = carry(self)
        return {**carried, "report": carried["ledger"]}
