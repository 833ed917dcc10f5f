"""What every module does at its door: the options its action plugin fills in, and how a failure is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .model.errors import OpsError

# Documented in plugins/doc_fragments/filled_in.py.
RELEASE_OPTIONS: dict[str, dict[str, Any]] = {
    "stack": {"type": "str", "required": True},
    "reason": {"type": "str", "default": ""},
    "entry": {"type": "dict"},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "registry_auth": {"type": "str", "default": "", "no_log": True},
    "environment_name": {"type": "str", "default": ""},
    "requested_by": {"type": "str", "default": ""},
    "gate": {"type": "dict", "default": {}},
}


@contextmanager
def failures_told(module: AnsibleModule) -> Iterator[None]:
    """Turn our one kind of error into the module's failure: a sentence, and its parts for machines."""
    try:
        yield
    except OpsError as error:
        module.fail_json(msg=str(error), error=error.as_dict())


def exit_with(module: AnsibleModule, result: dict[str, Any]) -> None:
    """End a module that carried out a plan: its lines as the diff where one is wanted, and failed when a step did."""
    if module._diff:
        result["diff"] = {"before": "", "after": "".join(f"{line}\n" for line in result["plan"])}
        result["display"] = result["notes"]
    if result.get("error"):
        module.fail_json(**result)
    module.exit_json(**result)
