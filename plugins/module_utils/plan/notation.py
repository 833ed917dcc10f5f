"""Values as a stack file writes them, and a look into what the engine leaves out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

NANO = 1_000_000_000  # in which the engine counts seconds and processors


def size(count: Any) -> str:
    """Bytes in the notation of Compose: ``384m``; an empty text for none."""
    number = int(count or 0)
    for unit, factor in (("g", 1024**3), ("m", 1024**2), ("k", 1024)):
        if number and number % factor == 0:
            return f"{number // factor}{unit}"
    return f"{number}b" if number else ""


def byte_count(text: str) -> int:
    """A size as tmpfs takes it; 0 for what is not one, such as ``50%``."""
    match = re.fullmatch(r"(\d+)([kmg]?)", text, re.IGNORECASE)
    return int(match[1]) * {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}[match[2].lower()] if match else 0


def span(seconds: float) -> str:
    """Seconds in the notation of Compose: ``1m30s``, ``500ms``."""
    whole, rest = divmod(round(seconds * 1000), 1000)
    minutes, left = divmod(whole, 60)
    parts = [f"{minutes}m" if minutes else "", f"{left}s" if left else "", f"{rest}ms" if rest else ""]
    return "".join(parts) or "0s"


def mapping_at(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A mapping below a key; what is null or not there is empty."""
    return dict(value.get(key) or {})
