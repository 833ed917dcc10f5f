"""What a transaction did and measured, whichever way it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .errors import OpsError

DONE, UNDONE, STUCK = "done", "undone", "stuck"
BEGUN, MIGRATED, NOT_MIGRATED = "begun", "migrated", "migration failed"  # of a migration


@dataclass
class Receipt:
    """What a transaction did and measured; seconds, milliseconds where the name ends in ``_ms``."""

    action: str
    stack: str
    release: str
    number: int
    previous: int
    steps: dict[str, float] = field(default_factory=dict)
    smoke: str = ""
    flip_ms: float = 0.0
    downtime_s: float = 0.0
    drained: dict[str, Any] = field(default_factory=dict)
    traffic: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    outcome: str = ""
    error: str = ""
    seconds: float = 0.0
    transaction: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For results and history."""
        return dict(self.__dict__)


class Undone(OpsError):
    """A transaction that failed, with what it did and measured."""

    def __init__(self, cause: OpsError, receipt: Receipt) -> None:
        self.receipt = receipt
        super().__init__(cause.what, where=cause.where, do=cause.do)
