"""Controller side of seisei.ops.restore: the stack as this environment resolves it, and the keys to its backups."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.backup_arguments import BackupAction


class ActionModule(BackupAction):
    """Fetches what a host must not keep, then runs the module."""

    def act(self) -> dict[str, Any]:
        """Returns the module's result."""
        return self.run_with_places("restore")
