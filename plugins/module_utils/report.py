"""A transaction's receipt as a module's result: for the eye, for diffs and for machines."""

from __future__ import annotations

from typing import Any

from .transaction import Receipt


def told(receipt: Receipt | None, said: list[str]) -> dict[str, Any]:
    """The result of a deploy or rollback; without a receipt nothing was to be done."""
    if receipt is None:
        return {"changed": False, "display": said}
    lines = [*said, *_steps(receipt), *(f"  warning: {warning}" for warning in receipt.warnings)]
    return {
        "changed": True,
        "display": lines,
        "report": receipt.as_dict(),
        "diff": {"before": f"release {receipt.previous}\n", "after": f"release {receipt.number} {receipt.release}\n"},
    }


def _steps(receipt: Receipt) -> list[str]:
    lines = [f"  {seconds:7.2f} s  {name}" for name, seconds in receipt.steps.items()]
    if receipt.outcome != "done":
        return lines
    drained = receipt.drained
    cut = f", drained {drained['in_flight']} in flight, {drained['cut']} cut" if drained else ""
    smoke = f"smoke {receipt.smoke}, " if receipt.smoke else ""
    return [*lines, f"  {receipt.seconds:7.2f} s  in all; {smoke}switch confirmed in {receipt.flip_ms:.0f} ms{cut}"]
