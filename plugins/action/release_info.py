"""Controller side of seisei.ops.release_info: which stacks there are."""

from __future__ import annotations

from typing import Any

from ..plugin_utils.estate import EstateAction, stack_names


class ActionModule(EstateAction):
    """Supplies the declared stacks and says of each row where it is from."""

    def act(self) -> dict[str, Any]:
        """Returns the module's result with ``environment`` and ``host`` in every row."""
        names = [self.arguments["stack"]] if self.arguments.get("stack") else stack_names()
        stacks = [{"name": name, "tree": self.stack_tree(name)} for name in names]
        given = {**self.arguments, "stacks": stacks, "environment_name": self.environment.name}
        result = self.run_module("release_info", given)
        place = {"environment": self.environment.name, "host": self.task_vars["inventory_hostname"]}
        return {**result, "rows": [{**place, **row} for row in result.get("rows", [])]}
