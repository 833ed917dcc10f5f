"""Controller side of seisei.ops.release: resolve the release to digests, have the host begin, and look on.

What was begun goes on without us: a connection that breaks is made again, and somebody else can look on as well.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from ansible.errors import AnsibleConnectionFailure

from ..module_utils.model.errors import OpsError
from ..plugin_utils.estate import CutOff, EstateAction
from ..plugin_utils.gate import for_the_host, pass_gate, promoted
from ..plugin_utils.ledger_errand import tell_ledger

_BROKEN = (AnsibleConnectionFailure, CutOff)
_TRIES, _TRY_EVERY_S = 10, 3.0  # a network that comes back within half a minute costs nobody the sight of it


class ActionModule(EstateAction):
    """Asks the registry for the release's digests and the store for its secrets; for a rollback neither is needed."""

    def act(self) -> dict[str, Any]:
        """Returns the module's result, or that of what was attached to."""
        asked = for_the_host(self.arguments)
        stack = asked["stack"]
        if asked.get("state") == "attached":
            return tell_ledger(self, self._watched(stack, self._ask({"stack": stack, "state": "attached"})))
        if asked.get("state") == "rolled_back":
            passed, given = None, self.recorded_arguments(stack)
        else:
            given = self.release_arguments(stack, asked.get("release", ""))
            passed = pass_gate(self, given)
            self._tell(list(passed.notes))
            given |= passed.arguments
        transaction = uuid.uuid4().hex[:12]
        try:
            result = self._ask({**asked, **given, "transaction": transaction})
        except _BROKEN as error:
            self._tell([f"the connection broke ({_first_line(error)}); looking whether it was begun"])
            result = {"transaction": transaction, "heard": 0}
        return promoted(self, passed, tell_ledger(self, self._watched(stack, result)))

    def _watched(self, stack: str, result: dict[str, Any]) -> dict[str, Any]:
        """The end of it; what is told before is shown as it comes."""
        shown = False
        while "transaction" in result:
            lines = result.pop("display", [])
            if not shown:
                lines = [*lines, f"  it goes on by itself, whatever becomes of this run; {self._how_to_attach(stack)}"]
                shown = True
            self._tell(lines)
            result = self._next(stack, result)
        return result

    def _next(self, stack: str, before: dict[str, Any]) -> dict[str, Any]:
        """The next answer, over a new connection where the last one broke."""
        asked = {"stack": stack, "state": "attached", "transaction": before["transaction"], "heard": before["heard"]}
        for _ in range(_TRIES):
            try:
                return self._ask(asked)
            except _BROKEN as error:
                last = error
                self._tell([f"  the connection broke ({_first_line(error)}); trying again"])
                time.sleep(_TRY_EVERY_S)  # there is nothing to ask: the network comes back when it does
        raise OpsError(
            f"the host cannot be reached any more ({_first_line(last)}); what was begun there goes on, or is undone",
            where=str(self.task_vars.get("inventory_hostname", "?")),
            do=self._how_to_attach(stack),
        )

    def _ask(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return self.run_module("release", arguments)

    def _tell(self, lines: list[str]) -> None:
        """Show lines now, not when the task has ended."""
        several = len(self.task_vars.get("ansible_play_hosts_all") or ()) > 1
        name = f"{self.task_vars.get('inventory_hostname')} " if several else ""
        for line in lines:
            self._display.display(f"{name}{line}")

    def _how_to_attach(self, stack: str) -> str:
        limit = self.task_vars.get("inventory_hostname", "")
        return f"to look on again: ansible-playbook playbooks/attach.yml --limit {limit} -e stack={stack}"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
