"""Controller side of seisei.ops.release: resolve the release to digests before the host is touched."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.estate import EstateAction


class ActionModule(EstateAction):
    """Reads the stack, asks the registry which digests the release has, fetches the secrets, runs the module."""

    def act(self) -> dict[str, Any]:
        """Returns the module's result."""
        deployed = self.arguments.get("state", "deployed") == "deployed"
        release = self.arguments.get("release", "") if deployed else ""
        return self.run_module(
            "release", {**self.arguments, **self.release_arguments(self.arguments["stack"], release)}
        )
