"""Controller side of seisei.ops.migration: resolve the release to digests, have the host begin, and look on."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.looking_on import LookingOn


class ActionModule(LookingOn):
    """Reads the stack, asks the registry which digests the release has, fetches the secrets, runs the module."""

    def act(self) -> dict[str, Any]:
        """Returns the module's result."""
        asked = self.arguments
        given = self.release_arguments(asked["stack"], asked["release"])
        return self.carried_through("migration", {**asked, **given})
