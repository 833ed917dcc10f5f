"""Which stack file a stack that was sent here stands in: worked out from what will run, not taken from who asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .model.container import canonical
from .model.document import Node
from .model.errors import OpsError
from .model.interpolation import interpolate
from .model.stack import parse_tree
from .model.statement import definition_of


def definition_run(entry: Mapping[str, Any], source: Any, variables: Mapping[str, str]) -> str:
    """The fingerprint of ``source``, a stack file's tree as it stands in the repository.

    Raises OpsError when the entry's tree is not what comes of it once its names are resolved by ``variables``.
    """
    node = Node(source, f"inventories/stacks/{entry['name']}.yml")
    resolved = interpolate(node, variables)
    node.finish()
    if canonical(parse_tree(resolved).tree) != canonical(entry["tree"]):
        raise OpsError(
            "the stack that would run is not the one in the stack file that came with it",
            where=f"stack {entry['name']}",
            do="deploy with the playbook, from a clean checkout",
        )
    return definition_of(source)


def proven(entry: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with a ``stack_file`` that this host can answer for; empty when no ``source`` came with it.

    ``sent`` has ``source`` and ``variables``, as for :func:`definition_run`.
    Raises OpsError when the entry says of itself that it is of another stack file.
    """
    if not sent.get("source"):
        return {**entry, "stack_file": ""}
    found = definition_run(entry, sent["source"], sent.get("variables") or {})
    if entry.get("stack_file") != found:
        raise OpsError(
            f"it says that it is of stack file {str(entry.get('stack_file'))[:12]}, and what would run is of "
            f"{found[:12]}",
            where=f"stack {entry['name']}",
            do="deploy with the playbook, from a clean checkout",
        )
    return {**entry, "stack_file": found}
