"""Controller side of seisei.ops.ledger_history: how it came to be, from the ledger and from what hosts have to add."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..module_utils.gateway.signatures import check
from ..module_utils.model.errors import OpsError
from ..module_utils.model.gate import Gate
from ..module_utils.model.ledger import Entry
from ..module_utils.model.statement import Signed, Statement, signed_from
from ..module_utils.plan.history_causes import with_causes
from ..module_utils.plan.ledger_history import Faults, Told, Wanted, history
from ..plugin_utils.estate import EstateAction
from ..plugin_utils.ledger import Ledger
from ..plugin_utils.ledger_audit import gates_of
from ..plugin_utils.registered import registered

_USUALLY = 20


class ActionModule(EstateAction):
    """Needs no connection to a host. Where the ledger cannot be read, hosts speak for themselves, and it says so."""

    _requires_connection = False
    _supports_check_mode = True

    def act(self) -> dict[str, Any]:
        """Rows, the newest first, and what has to be known to read them."""
        asked, notes = self.arguments, []
        events, silent = registered(str(asked["past_of"]), "rows", self.task_vars)
        waiting, mute = registered(str(asked["past_of"]), "to_ledger", self.task_vars)
        signed = {host: _readable([signed_from(one) for one in said]) for host, said in waiting.items()}
        told = Told({host: [one.statement for one in said] for host, said in signed.items()}, _together(events))
        entries, lacking = self._entries()
        everything = [one.signed for one in entries] + [one for said in signed.values() for one in said]
        found = history(entries, told, self._wanted(), _faults(everything, gates_of(self.task_vars)))
        notes += [f"  {lacking}"] if lacking else []
        if found.left_out:
            notes.append(f"  {found.left_out} older ones are left out: add -e last=0, or a period with since and until")
        if found.unsigned:
            notes.append(f"  {found.unsigned} left out: their signatures do not count: verify_ledger.yml says why")
        if lost := sorted({*silent, *mute}):
            notes.append(f"  No answer from {', '.join(lost)}: what they have not told the ledger yet is missing.")
        rows = with_causes(found.rows, told.events)
        return {"changed": False, "display": notes, "rows": rows, "report": {"notes": notes}}

    def _wanted(self) -> Wanted:
        asked = self.arguments
        since, until = str(asked.get("since") or ""), str(asked.get("before") or "")
        last = asked.get("last")
        most = int(last) if last not in (None, "") else 0 if since or until else _USUALLY
        variables = self.task_vars
        hosts = [variables["hostvars"].raw_get(host) for host in variables["ansible_play_hosts_all"]]
        names = frozenset(str(one.get("ops_environment", {}).get("name", "")) for one in hosts)
        return Wanted(names, str(asked.get("stack") or ""), since, until, most)

    def _entries(self) -> tuple[tuple[Entry, ...], str]:
        """What the ledger has, and what keeps it from being the whole truth."""
        try:
            chain = Ledger(self.environment).chain()
        except OpsError as error:
            return (), f"The ledger cannot be read, so hosts speak for themselves: {error}"
        if chain.findings:
            readable = tuple(entry for entry in chain.entries if _readable([entry.signed]))
            return readable, "The ledger is not as it was written: run verify_ledger.yml before you rely on this."
        return chain.entries, ""


def _faults(said: Iterable[Signed], gates: Mapping[str, Gate]) -> Faults:
    by_text = {one.text: one for one in reversed(list(said))}

    def faults(asked: Sequence[tuple[Statement, str]]) -> list[str]:
        found = dict.fromkeys(range(len(asked)), "its environment is not in this run")
        for name in {where for _, where in asked} & gates.keys():
            places = [place for place, (_, where) in enumerate(asked) if where == name]
            checked = check([by_text[asked[place][0].text()] for place in places], gates[name])
            found |= {place: one.fault for place, one in zip(places, checked, strict=True)}
        return list(found.values())

    return faults


def _readable(said: Iterable[Signed]) -> list[Signed]:
    return [one for one in said if _is_statement(one)]


def _is_statement(signed: Signed) -> bool:
    try:
        return bool(signed.statement.id)
    except OpsError:
        return False


def _together(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    return [{"host": host, **row} for host, theirs in rows.items() for row in theirs]
