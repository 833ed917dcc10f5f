"""Controller side of seisei.ops.runbook: hold a run to the front matter of its page before anything happens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible import constants, context
from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars

from ..module_utils.model.errors import InvalidInput, OpsError
from ..module_utils.plan.runbook import Request, command, header, read_request
from ..plugin_utils.runbook_page import load_runbook, stack_names


class ActionModule(ActionBase):
    """Needs no connection to a host: a wrong request fails before one is made."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Answer with the typed inputs, or fail with everything that is wrong with the request."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, args = self.validate_argument_spec({"name": {"type": "str", "required": True}})
        try:
            return result | self._answer(args["name"], task_vars or {})
        except OpsError as error:
            told = error.errors if isinstance(error, InvalidInput) else (error,)
            return result | {
                "failed": True,
                "msg": str(error),
                "error": error.as_dict(),
                "errors": [one.as_dict() for one in told],
            }

    def _answer(self, name: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        hosts = variables["ansible_play_hosts_all"]
        environments = {str(host): _environment(variables["hostvars"][host]) for host in hosts}
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
    """The name of the environment a host belongs to, or an empty string."""
    return str(variables["ops_environment"]["name"]) if "ops_environment" in variables else ""


def _undo(request: Request) -> str:
    """How to take this run back: the command line that does it where a runbook does, else the page's sentence."""
    book = request.runbook
    if not book.undo_runbook:
        return book.undo
    undo = load_runbook(book.undo_runbook)
    limit = request.environment if len(request.environments) == 1 else ",".join(request.hosts)
    return command(undo, _shared(request, undo.inputs), limit=limit, inventories=_inventories())


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
