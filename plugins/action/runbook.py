"""Controller side of seisei.ops.runbook: hold a run to the front matter of its page before anything happens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants, context
from ansible.utils.vars import load_extra_vars

from ..module_utils.plan.runbook import Request, header, read_request, way_back
from ..plugin_utils.estate import EstateAction, stack_names
from ..plugin_utils.runbook_page import load_runbook


class ActionModule(EstateAction):
    """Needs no connection to a host: a wrong request fails before one is made."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def act(self) -> dict[str, Any]:
        """The typed inputs; raises InvalidInput with everything that is wrong with the request."""
        _, args = self.validate_argument_spec({"name": {"type": "str", "required": True}})
        name, variables = args["name"], self.task_vars
        hosts = variables["ansible_play_hosts_all"]
        environments = {str(host): _environment(variables["hostvars"].raw_get(host)) for host in hosts}
        request = read_request(load_runbook(name), _given(self._loader), stack_names(), environments)
        rehearsal = bool(self._task.check_mode)
        answer = {
            "inputs": request.inputs,
            "environment": request.environment,
            "hosts": list(request.hosts),
        }
        return answer | {
            "changed": False,
            "display": header(request, undo=_undo(request), rehearsal=rehearsal),
            "report": answer | {"runbook": name, "rehearsal": rehearsal},
        }


def _given(loader: Any) -> dict[str, Any]:
    """What the operator said with -e, as plain values: Ansible's own strings carry marks that JSON does not."""
    return {str(name): _plain(value) for name, value in load_extra_vars(loader).items()}


def _plain(value: Any) -> Any:
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return value


def _environment(variables: Mapping[str, Any]) -> str:
    """The name of the environment a host belongs to, or an empty string.

    Taken as it is written: to resolve the whole environment would read files and certificates that a wrong request
    need not wait for, and could fail on.
    """
    found = variables.get("ops_environment")
    return str(found.get("name", "")) if isinstance(found, Mapping) else ""


def _undo(request: Request) -> str:
    """How to take this run back: by a runbook where there is one, else the page's sentence."""
    book = request.runbook
    if not book.undo_runbook:
        return book.undo
    undo = load_runbook(book.undo_runbook)
    limit = request.environment if len(request.environments) == 1 else ",".join(request.hosts)
    return way_back(undo, _shared(request, undo.inputs), limit=limit, inventories=_inventories())


def _shared(request: Request, accepted: Mapping[str, Any]) -> dict[str, Any]:
    """Inputs that mean the same there: the stack stays the stack; a release to put live is not one to go back to."""
    return {
        name: value
        for name, value in request.inputs.items()
        if name in accepted and request.runbook.inputs[name].type in ("stack", "database")
    }


def _inventories() -> list[str]:
    """The inventories named on the command line, as short as they can be written; the default needs no naming."""
    chosen = [Path(source) for source in context.CLIARGS.get("inventory") or ()]
    if [str(path) for path in chosen] == [str(path) for path in constants.DEFAULT_HOST_LIST]:
        return []
    here = Path.cwd()
    return [str(path.relative_to(here)) if path.is_relative_to(here) else str(path) for path in chosen]
