"""What a code of a diagnosis means: how bad it is, at which layer, why, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass

BROKEN = "broken"
WARNING = "warning"


@dataclass(frozen=True)
class Cause:
    """``layer`` empty keeps the layer the observation was made at."""

    grade: str
    layer: str
    cause: str
    next: str


def broken(layer: str, cause: str, following: str) -> Cause:
    """Nothing behind this layer can work."""
    return Cause(BROKEN, layer, cause, following)


def warning(layer: str, cause: str, following: str) -> Cause:
    """It works, and somebody ought to look."""
    return Cause(WARNING, layer, cause, following)
