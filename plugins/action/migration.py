"""Controller side of seisei.ops.migration: resolve the release to digests before the host is touched."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.estate import EstateAction


class ActionModule(EstateAction):
    """Reads the stack, asks the registry which digests the release has, fetches the secrets, runs the module."""

    def act(self) -> dict[str, Any]:
        """Returns the module's result."""
        asked = self.arguments
        return self.run_module("migration", {**asked, **self.release_arguments(asked["stack"], asked["release"])})
