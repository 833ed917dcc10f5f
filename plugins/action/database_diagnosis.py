"""Controller side of seisei.ops.database_diagnosis: what ought to be, for the host to compare with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..module_utils.gateway.stack_file import read_document
from ..module_utils.model.document import Node
from ..module_utils.model.interpolation import interpolate
from ..plugin_utils.estate import ROOT, STACKS, EstateAction

_INVENTORIES = ROOT / "inventories"
# The inventory of ansible.cfg, which needs no naming on a command line, and is an estate of its own.
_LAB = "lab"


class ActionModule(EstateAction):
    """Resolves the stack, fetches the one secret, and names the databases that belong to others."""

    _supports_check_mode = True

    def act(self) -> dict[str, Any]:
        """Returns the module's result."""
        name = str(self.arguments["stack"])
        stack = self.stack(name)
        secret = stack.ops.database.password if stack.ops.database else ""
        own = stack.ops.database.host if stack.ops.database else ""
        return self.run_module(
            "database_diagnosis",
            {
                **{key: value for key, value in self.arguments.items() if value is not None},
                "tree": stack.tree,
                "environment_name": self.environment.name,
                "password": self.secrets_for([secret])[secret] if secret else "",
                "secret_id": self.environment.secrets.get(secret, ""),
                "limit": self._limit(),
                "foreign": foreign_hosts(name, self.environment.name, own),
            },
        )

    def _inventory(self) -> str:
        return Path(str(self.task_vars.get("inventory_dir", ""))).name

    def _limit(self) -> str:
        inventory = "" if self._inventory() == _LAB else f"-i inventories/{self._inventory()} "
        return f"{inventory}--limit {self.environment.name}"


def foreign_hosts(stack: str, environment: str, own: str, *, root: Path = _INVENTORIES) -> dict[str, str]:
    """Hosts of the same stack's database in every other environment of the estate, each with its environment.

    ``own`` is the host in this environment; it says to which estate we belong, since the lab's environments have the
    names of real ones, and neither estate may ask for the other's hosts.
    """
    declared = _declared_host(read_document(STACKS / f"{stack}.yml"))
    everywhere: list[tuple[bool, str, str]] = []
    for path in sorted(root.glob("*/group_vars/*/environment.yml")) if declared and own else ():
        settings = read_document(path).value.get("ops_environment", {})
        node = Node(declared, str(path))
        host = str(interpolate(node, settings.get("variables", {}))).lower()
        if not node.errors:
            everywhere.append((path.parts[-4] == _LAB, str(settings.get("name")), host))
    estates = {lab for lab, name, host in everywhere if (name, host) == (environment, own.lower())}
    return {host: name for lab, name, host in everywhere if lab in estates and name != environment}


def _declared_host(document: Node) -> str:
    ops = document.value.get("x-ops", {})
    block = ops.get("database", {}) if isinstance(ops, Mapping) else {}
    return str(block.get("host", "")) if isinstance(block, Mapping) else ""
