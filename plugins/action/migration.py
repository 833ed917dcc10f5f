"""Controller side of seisei.ops.migration: resolve the release to digests before the host is touched."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.estate import EstateAction
from ..plugin_utils.gate import for_the_host, pass_gate


class ActionModule(EstateAction):
    """Reads the stack, asks the registry which digests the release has, fetches the secrets, runs the module."""

    def act(self) -> dict[str, Any]:
        """Returns the module's result."""
        asked = for_the_host(self.arguments)
        given = self.release_arguments(asked["stack"], asked["release"])
        passed = pass_gate(self, given, what="migrate")
        result = self.run_module("migration", {**asked, **given, **passed.arguments})
        return {**result, "display": [*passed.notes, *result.get("display", ())]}
