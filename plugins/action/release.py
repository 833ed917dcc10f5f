"""Controller side of seisei.ops.release: resolve the release to digests, have the host begin, and look on."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.looking_on import LookingOn


class ActionModule(LookingOn):
    """Asks the registry for the release's digests and the store for its secrets; for a rollback neither is needed."""

    def act(self) -> dict[str, Any]:
        """Returns the module's result, or that of what was attached to."""
        asked = self.arguments
        stack = asked["stack"]
        if asked.get("state") == "attached":
            return self.attached(stack)
        if asked.get("state") == "rolled_back":
            given = self.recorded_arguments(stack)
        else:
            given = self.release_arguments(stack, asked.get("release", ""))
        return self.carried_through("release", {**asked, **given})
