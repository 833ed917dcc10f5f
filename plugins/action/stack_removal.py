"""Controller side of seisei.ops.stack_removal: what is declared is not removed."""

from __future__ import annotations

import re
from typing import Any

from ..module_utils.model.errors import OpsError
from ..module_utils.model.runbook import STACK
from ..plugin_utils.estate import EstateAction, stack_names


class ActionModule(EstateAction):
    """Asks neither registry nor secrets store."""

    def act(self) -> dict[str, Any]:
        """Returns the module's result; raises OpsError for a stack that has a file."""
        name = str(self.arguments.get("stack", ""))
        if not re.fullmatch(STACK, name):
            raise OpsError(f"'{name}' is not the name of a stack", where="-e name", do="give one, such as langbot")
        if name in stack_names():
            raise OpsError(
                f"stack '{name}' is declared",
                where=f"inventories/stacks/{name}.yml",
                do="take its file away and converge first; then it is stopped, and can be removed",
            )
        return self.run_module("stack_removal", {"stack": name, "environment_name": self.environment.name})
