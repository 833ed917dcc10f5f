"""Resolve ``${NAME}`` in a stack file from an environment's values: the Compose notation, without its defaults.

A name that is not declared is an error, never an empty text: an empty host name is how outages begin.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .document import Node, nearest

_MARK = re.compile(r"\$(?:(?P<escaped>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<other>\{[^}]*\}?|[A-Za-z_]\w*))")


def interpolate(node: Node, variables: Mapping[str, str], *, keep: tuple[str, ...] = ("RELEASE",)) -> Any:
    """The tree below ``node`` with its names resolved; names in ``keep`` stay as they are for later.

    Errors are collected in the node's document; call ``node.finish()``.
    """
    value = node.value
    if isinstance(value, str):
        return _MARK.sub(lambda match: _resolve(match, node, variables, keep), value)
    if isinstance(value, Mapping):
        return {key: interpolate(node.child(str(key), item), variables, keep=keep) for key, item in value.items()}
    if isinstance(value, list):
        return [interpolate(node.child(index, item), variables, keep=keep) for index, item in enumerate(value)]
    return value


def _resolve(match: re.Match[str], node: Node, variables: Mapping[str, str], keep: tuple[str, ...]) -> str:
    if match["escaped"]:
        return "$"
    name = match["name"]
    if match["other"]:
        node.reject(f"'${match['other']}' is not accepted", "write ${NAME}, or $$ for a dollar sign")
    elif name in keep:
        return match[0]
    elif name in variables:
        return variables[name]
    else:
        guess = nearest(name, variables)
        hint = f"did you mean '{guess}'?" if guess else "declare it under ops_environment.variables"
        node.reject(f"variable '{name}' has no value in this environment", hint)
    return ""
