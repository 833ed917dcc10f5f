"""Controller side of seisei.ops.release: resolve the release to digests, have the host begin, and look on."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.gate import for_the_host, promoted, release_to_pass
from ..plugin_utils.ledger_errand import tell_ledger
from ..plugin_utils.looking_on import LookingOn


class ActionModule(LookingOn):
    """Asks the registry for the release's digests and the store for its secrets; for a rollback neither is needed."""

    def act(self) -> dict[str, Any]:
        """Returns the module's result, or that of what was attached to."""
        asked, passed = for_the_host(self.arguments), None
        stack = asked["stack"]
        if asked.get("state") == "attached":
            return tell_ledger(self, self.attached(stack))
        if asked.get("state") == "rolled_back":
            given = self.recorded_arguments(stack)
        else:
            passed = release_to_pass(self)
            self.tell(passed.notes)
            given = passed.arguments
        result = tell_ledger(self, self.carried_through("release", {**asked, **given}))
        return promoted(self, passed, result)
