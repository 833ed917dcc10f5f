"""Controller side of seisei.ops.release: resolve the release to digests before the host is touched."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.estate import EstateAction


class ActionModule(EstateAction):
    """Asks the registry for the release's digests and the store for its secrets; for a rollback neither is needed."""

    def act(self) -> dict[str, Any]:
        """Returns the module's result."""
        asked = self.arguments
        if asked.get("state") == "rolled_back":
            given = self.recorded_arguments(asked["stack"])
        else:
            given = self.release_arguments(asked["stack"], asked.get("release", ""))
        return self.run_module("release", {**asked, **given})
