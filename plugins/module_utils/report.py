"""A transaction as a module's result: for the eye, for diffs and for machines; whole, or line by line as it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .model.errors import OpsError
from .model.receipt import BEGUN, DONE, MIGRATED, UNDONE, Receipt, Undone

if TYPE_CHECKING:
    from .gateway.engine import TaskResult

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


def migrated(ran: TaskResult | None, said: list[str]) -> Result:
    """The result of a migration that succeeded, or would be run."""
    if ran is None:
        return {"changed": True, "display": said}
    report = {"output": ran.output, "seconds": round(ran.seconds, 2)}
    return {"changed": True, "display": [*said, *ran.output.splitlines()[-6:]], "report": report}


def from_history(stack: str, event: Mapping[str, Any]) -> Result:
    """The same of a transaction whose process died, as history tells it; nothing is told of one that never began."""
    outcome, do = event.get("outcome"), "look at the host's journal for the cause, then run the same again"
    if outcome in (DONE, MIGRATED):
        became = "is live" if outcome == DONE else "has its schema: the migration succeeded"
        return {"changed": True, "display": [f"{stack}: {event['release']} {became}"], "report": dict(event)}
    why = str(event.get("error") or "it was cut off before it began")
    if outcome == UNDONE:
        why += "; it was undone, and what was live before serves"
    if outcome == BEGUN:
        why = f"the process that ran the migration to {event.get('release')} was killed; its container may run on"
        do = (
            f"on the host: docker ps --filter name={stack}-.*-task says whether it does, docker logs how far it is; "
            "wait for its end, or docker stop it; then run the same again"
        )
    error = OpsError(why, where=stack, do=do)
    return {**failed(error), "report": dict(event)}


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
    smoke = f"smoke {receipt.smoke}, " if receipt.smoke else ""
    ends = [f"{smoke}switch confirmed in {receipt.flip_ms:.0f} ms", *_drained(receipt.drained), *_seen(receipt.traffic)]
    return f"  {receipt.seconds:7.2f} s  in all; {', '.join(ends)}"


def _drained(drained: Mapping[str, Any]) -> list[str]:
    if "in_flight" not in drained:
        return []
    left = f", {drained['left']} left to go on" if drained.get("left") else ""
    return [f"drained {drained['in_flight']} in flight, {drained['cut']} cut{left}"]


def _seen(traffic: Mapping[str, Any]) -> list[str]:
    if "requests" not in traffic:
        return []
    gap = f"longest gap {traffic['longest_gap_ms']:.0f} ms"
    # The probe's own failures are among the edge's, unless the edge itself did not answer.
    failed = max(traffic["failed"], traffic["probes_failed"])
    return [f"{traffic['requests']} requests meanwhile, {failed} failed, {gap}"]
