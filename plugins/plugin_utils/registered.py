"""What an earlier task of the play registered, on every host of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def registered(name: str, key: str, variables: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The ``key`` of what was registered as ``name``, by host; and the hosts whose answer has none."""
    found: dict[str, Any] = {}
    silent: list[str] = []
    for host in variables["ansible_play_hosts_all"]:
        result = variables["hostvars"][host].get(name)
        if isinstance(result, Mapping) and key in result and not result.get("failed"):
            found[str(host)] = result[key]
        else:
            silent.append(str(host))
    return found, silent
