"""The way of a host's statements: fetched, looked at, written into the ledger, and then dropped by the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleConnectionFailure

from ..module_utils.gateway.signatures import check
from ..module_utils.model.errors import OpsError
from ..module_utils.model.ledger import Entry, LedgerClash, head_from
from ..module_utils.model.statement import Signed, signed_from
from ..module_utils.plan.ledger import Witness
from .estate import EstateAction
from .ledger import Ledger

TOLD = ("to_ledger", "waiting", "ledger_head", "spool_faults")


def tell_ledger(action: EstateAction, result: dict[str, Any]) -> dict[str, Any]:
    """The result of a module that changed a host, once the ledger knows of it.

    A ledger that is away, or that is not as it was, is a warning: the host keeps its statements, and the next run
    brings them. The module's answer has them as :func:`spooling.for_the_ledger` gives them; else the host is asked.
    """
    if not action.environment.ledger.bucket:
        return result
    told: dict[str, Any] = {key: result.pop(key) for key in TOLD if key in result}
    try:
        carried = carry(action, told if len(told) == len(TOLD) else None)
    except OpsError as error:
        said = f"  warning: the ledger does not know of this yet, and the host keeps it until it does: {error}"
        return {**result, "display": [*result.get("display", ()), said], "ledger": {"error": error.as_dict()}}
    return {**result, "display": [*result.get("display", ()), *carried["display"]], "ledger": carried["ledger"]}


def carry(action: EstateAction, told: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Write what a host told into the ledger, and let the host drop it; left out, the host is asked.

    Raises LedgerAway, LedgerTampered (the host's own head is a witness) or OpsError; the host has everything then.
    """
    told = told or _spool(action, {})
    ledger, known = Ledger(action.environment), head_from(told["ledger_head"])
    before = ledger.chain([Witness(f"host {_host(action)}", known)]).sound().head
    entries, refused = _written(action, ledger, told)
    written = [one for one in entries if one.number > before.number]
    waiting = int(told["waiting"]) - len(entries)
    if entries or (ledger.head().number > known.number and not action.rehearsal):
        dropped = {"state": "acknowledged", "ids": [one.signed.statement.id for one in entries]}
        _spool(action, {**dropped, "head": ledger.head().as_dict()})
    lines = [f"  warning: {fault}" for fault in (*told["spool_faults"], *refused)]
    lines += [f"  ledger: {len(written)} written, head {ledger.head()}"] if written else []
    lines += [f"  ledger: {waiting} wait on the host"] if waiting > len(refused) else []
    report = {"head": ledger.head().as_dict(), "written": [one.number for one in written], "waiting": waiting}
    return {"changed": bool(written), "display": lines, "ledger": report}


def _written(action: EstateAction, ledger: Ledger, told: Mapping[str, Any]) -> tuple[list[Entry], list[str]]:
    """The entries of what a host told, and a sentence for each statement that stays there.

    The next run fetches what one answer does not carry. Only where all of one stay on the host, the next are asked for:
    they would wait behind them for ever.
    """
    passed_over: list[str] = []
    refused: list[str] = []
    while True:
        statements = [signed_from(one) for one in told["to_ledger"]]
        good, faults = _looked_at(action, statements)
        clashes: list[LedgerClash] = []
        entries = [] if action.rehearsal else ledger.merge(good, clashes)
        refused += [*faults, *(f"{clash}; the host keeps it" for clash in clashes)]
        passed_over += [one.statement.id for one in statements]
        if action.rehearsal or entries or not statements or len(passed_over) >= int(told["waiting"]):
            return entries, refused
        told = _spool(action, {"state": "told", "ids": passed_over})


def _spool(action: EstateAction, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the host says of its spool. What is in the ledger and could not be dropped is dropped the next time."""
    try:
        answer = action.run_module("spool", arguments)
    except AnsibleConnectionFailure as error:
        answer = {"failed": True, "msg": str(error)}
    if answer.get("failed") or not answer.keys() >= set(TOLD):
        raise OpsError(
            f"the host does not say what waits on it for the ledger: {answer.get('msg', 'it gave another answer')}",
            where=_host(action),
            do="run tell_ledger.yml when it can be reached",
        )
    return answer


def _looked_at(action: EstateAction, statements: list[Signed]) -> tuple[list[Signed], list[str]]:
    """Statements whose signature counts, and a sentence for each other: what cannot be verified is not written."""
    if not statements:
        return [], []
    checked = check(statements, action.environment.gate)
    if len(checked) != len(statements):
        raise OpsError("something in the spool is no statement", where=_host(action), do="look into its spool")
    good = [signed for signed, found in zip(statements, checked, strict=True) if not found.fault]
    refused = [
        f"statement {found.statement.id} stays on the host, because its signature does not count: {found.fault}"
        for found in checked
        if found.fault
    ]
    return good, refused


def _host(action: EstateAction) -> str:
    return str(action.task_vars.get("inventory_hostname", "?"))
