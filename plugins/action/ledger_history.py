"""Controller side of seisei.ops.ledger_history: how it came to be, from the ledger and from what hosts have to add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..module_utils.model.errors import OpsError
from ..module_utils.model.ledger import Entry
from ..module_utils.model.statement import Statement, signed_from
from ..module_utils.plan.ledger_history import Told, Wanted, history
from ..plugin_utils.estate import EstateAction
from ..plugin_utils.ledger import Ledger
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
        waiting, mute = registered(str(asked["waiting_of"]), "to_ledger", self.task_vars)
        told = Told({host: _statements(said) for host, said in waiting.items()}, _together(events))
        entries, lacking = self._entries()
        rows, left_out = history(entries, told, self._wanted())
        notes += [f"  {lacking}"] if lacking else []
        notes += [f"  {left_out} older ones are left out: add -e last=0, or a period with since and until"] * (
            left_out > 0
        )
        if lost := sorted({*silent, *mute}):
            notes.append(f"  No answer from {', '.join(lost)}: what they have not told the ledger yet is missing.")
        return {"changed": False, "display": notes, "rows": rows, "report": {"notes": notes}}

    def _wanted(self) -> Wanted:
        asked = self.arguments
        since, until = str(asked.get("since") or ""), str(asked.get("until") or "")
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
            return _readable(
                chain.entries
            ), "The ledger is not as it was written: run verify_ledger.yml before you rely on this."
        return chain.entries, ""


def _readable(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    return tuple(entry for entry in entries if _statement(entry.signed) is not None)


def _statement(signed: Any) -> Statement | None:
    try:
        found: Statement = signed.statement
    except OpsError:
        return None
    return found


def _statements(said: Sequence[Mapping[str, Any]]) -> list[Statement]:
    return [found for one in said if (found := _statement(signed_from(one))) is not None]


def _together(rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    return [{"host": host, **row} for host, theirs in rows.items() for row in theirs]
