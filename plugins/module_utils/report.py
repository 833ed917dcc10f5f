"""A transaction as a module's result: for the eye, for diffs and for machines; whole, or line by line as it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .model.errors import OpsError
from .model.receipt import DONE, Receipt, Undone

Result = dict[str, Any]


def told(receipt: Receipt | None, said: list[str]) -> Result:
    """The result of a deploy or rollback; without a receipt nothing was to be done."""
    if receipt is None:
        return {"changed": False, "display": said}
    result = closing(receipt)
    steps = [_step(name, seconds) for name, seconds in receipt.steps.items()]
    return {**result, "display": [*said, *steps, *result["display"]]}


def closing(receipt: Receipt) -> Result:
    """The same, for whom the steps were told as they came: only what is left to say is in ``display``."""
    warnings = [f"  warning: {warning}" for warning in receipt.warnings]
    return {
        "changed": True,
        "display": [*([_sum(receipt)] if receipt.outcome == DONE else []), *warnings],
        "report": receipt.as_dict(),
        "diff": {"before": f"release {receipt.previous}\n", "after": f"release {receipt.number} {receipt.release}\n"},
    }


def failed(error: OpsError) -> Result:
    """The result of one that failed, with what it did and measured before."""
    result: Result = {"failed": True, "msg": str(error), "error": error.as_dict(), "display": []}
    if isinstance(error, Undone):
        result["report"] = error.receipt.as_dict()
        result["display"] = [f"  warning: {warning}" for warning in error.receipt.warnings]
    return result


def lines(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """What a person reads of events, as the unit told them."""
    found = []
    for entry in entries:
        if "say" in entry:
            found.append(str(entry["say"]))
        elif entry.get("event") in ("done", "failed") and "seconds" in entry:
            found.append(_step(entry["step"], entry["seconds"], failed=entry["event"] == "failed"))
    return found


def _step(name: str, seconds: float, *, failed: bool = False) -> str:
    return f"  {seconds:7.2f} s  {name}{': failed' if failed else ''}"


def _sum(receipt: Receipt) -> str:
    drained = receipt.drained
    cut = f", drained {drained['in_flight']} in flight, {drained['cut']} cut" if drained else ""
    smoke = f"smoke {receipt.smoke}, " if receipt.smoke else ""
    return f"  {receipt.seconds:7.2f} s  in all; {smoke}switch confirmed in {receipt.flip_ms:.0f} ms{cut}"
