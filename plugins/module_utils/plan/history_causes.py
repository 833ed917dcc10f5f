"""Causes of failures for the rows of history: the ledger is not told them, since containers may have said them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_ON_HOST_ONLY = ("error", "warnings")


def with_causes(rows: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows; one of a statement has the cause of its failure from the host's own event, and nothing else of that."""
    causes = {
        str(event["statement"]): {name: event[name] for name in _ON_HOST_ONLY if event.get(name)}
        for event in events
        if event.get("statement")
    }
    return [{**row, **causes.get(str(row.get("statement") or ""), {})} for row in rows]
