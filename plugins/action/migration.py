"""Controller side of seisei.ops.migration: resolve the release to digests, have the host begin, and look on."""

from __future__ import annotations

from typing import Any

from ..module_utils.plan.gate import MIGRATE
from ..plugin_utils.gate import for_the_host, release_to_pass
from ..plugin_utils.ledger_errand import tell_ledger
from ..plugin_utils.looking_on import LookingOn


class ActionModule(LookingOn):
    """Reads the stack, asks the registry which digests the release has, fetches the secrets, runs the module."""

    def act(self) -> dict[str, Any]:
        """Returns the module's result."""
        asked = for_the_host(self.arguments)
        passed = release_to_pass(self, what=MIGRATE)
        self.tell(passed.notes)
        return tell_ledger(self, self.carried_through("migration", {**asked, **passed.arguments}))
