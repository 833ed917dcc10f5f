"""The controller's side of what a host carries through by itself: have it begin, and look on until it ends.

What was begun goes on without us: a connection that breaks is made again, and somebody else can look on as well.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleConnectionFailure

from ..module_utils.model.errors import OpsError
from .estate import CutOff, EstateAction, is_lab

_BROKEN = (AnsibleConnectionFailure, CutOff)
_TRIES, _TRY_EVERY_S = 10, 3.0  # a network that comes back within half a minute costs nobody the sight of it
_NO_CONNECTION = (
    "connect to host",
    "Could not resolve hostname",
    "Permission denied",
    "Host key verification failed",
    "kex_exchange_identification",
)
_UNSETTLED_S = 180.0  # two boots of a host, or three turns of its timer


class LookingOn(EstateAction):
    """Base of actions whose module begins something and listens for a while."""

    def carried_through(self, module: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Have the host begin; the result once it has ended."""
        stack, transaction = arguments["stack"], uuid.uuid4().hex[:12]
        try:
            result = self.run_module(module, {**arguments, "transaction": transaction})
        except _BROKEN as error:
            if _was_never_made(error):
                raise
            self.tell([f"the connection broke ({_first_line(error)}); looking whether it was begun"])
            result = {"transaction": transaction, "heard": 0}
        return self.watched(stack, result)

    def attached(self, stack: str) -> dict[str, Any]:
        """The result of what goes on in a stack, or of the newest that ended."""
        return self.watched(stack, self.run_module("release", {"stack": stack, "state": "attached"}))

    def watched(self, stack: str, result: dict[str, Any]) -> dict[str, Any]:
        """The end of it; what is told before is shown as it comes."""
        shown, ran = False, time.monotonic()
        while "transaction" in result:
            lines = result.pop("display", [])
            if result.get("runs", True):
                ran = time.monotonic()
            elif time.monotonic() - ran > _UNSETTLED_S:
                raise self._unsettled(stack)
            if not shown:
                lines = [*lines, "  it goes on by itself, whatever becomes of this run; to look on again:"]
                lines.append(f"  {self._attach(stack)}")
                shown = True
            self.tell(lines)
            result = self._next(stack, result)
        return result

    def _next(self, stack: str, before: dict[str, Any]) -> dict[str, Any]:
        """The next answer, over a new connection where the last one broke."""
        asked = {"stack": stack, "state": "attached", "transaction": before["transaction"], "heard": before["heard"]}
        for _ in range(_TRIES):
            try:
                return self.run_module("release", asked)
            except _BROKEN as error:
                last = error
                self.tell([f"  the connection broke ({_first_line(error)}); trying again"])
                time.sleep(_TRY_EVERY_S)  # there is nothing to ask: the network comes back when it does
        raise OpsError(
            f"the host cannot be reached any more ({_first_line(last)}); what was begun there goes on, or is undone",
            where=str(self.task_vars.get("inventory_hostname", "?")),
            do=self._how_to_attach(stack),
        )

    def _unsettled(self, stack: str) -> OpsError:
        return OpsError(
            f"it was cut off {_UNSETTLED_S / 60:.0f} minutes ago, and what it left is not put right yet",
            where=f"{self.task_vars.get('inventory_hostname', '?')} {stack}",
            do=f"the host tries again every minute; its engine or disk may need a person; {self._how_to_attach(stack)}",
        )

    def tell(self, lines: Iterable[str]) -> None:
        """Show lines now, not when the task has ended."""
        several = len(self.task_vars.get("ansible_play_hosts_all") or ()) > 1
        name = f"{self.task_vars.get('inventory_hostname')} " if several else ""
        for line in lines:
            self._display.display(f"{name}{line}")

    def _how_to_attach(self, stack: str) -> str:
        return f"to look on again: {self._attach(stack)}"

    def _attach(self, stack: str) -> str:
        inventory = "" if is_lab(self) else f"-i inventories/{self.environment.name} "
        limit = self.task_vars.get("inventory_hostname", "")
        return f"ansible-playbook playbooks/attach.yml {inventory}--limit {limit} -e stack={stack}"


def _was_never_made(error: Exception) -> bool:
    """Whether the connection failed before anything could begin, by the words of OpenSSH's ssh(1)."""
    return any(words in str(error) for words in _NO_CONNECTION)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
