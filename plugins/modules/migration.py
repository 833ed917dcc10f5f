#!/usr/bin/python
"""Run a stack's schema migration."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: migration
short_description: Run the schema migration of a release, as a step of its own
description:
  - Runs the command that the stack declares under C(x-ops.migrate) in a container of the release, with its environment,
    networks and secrets. The live release goes on serving, whatever happens.
  - It is carried through by a unit of systemd on the host, as a release is; attach.yml shows it as well.
author: Seisei operations (@seisei)
extends_documentation_fragment: [seisei.ops.filled_in]
options:
  release:
    description: The release whose migrations are to be applied.
    type: str
    required: true
  break_glass:
    description: >-
      Read by the action plugin. Migrates without verification, acceptance and approval of the release; O(reason) is
      signed, and somebody else has to close it.
    type: bool
    default: false
  window_reason:
    description: Read by the action plugin. Why it has to be at a time when releases are refused; signed.
    type: str
    default: ''
  transaction:
    description: Filled in by the action plugin. Names what is begun.
    type: str
    default: ''
attributes:
  check_mode:
    description: Says what would be run.
    support: full
  diff_mode:
    description: A migration's effect on a schema cannot be told before it ran.
    support: none
"""

EXAMPLES = r"""
- name: Migrate the databases of Odoo to what the release needs
  seisei.ops.migration:
    stack: odoo18
    release: sha-724f892
"""

RETURN = r"""
report:
  description: The migration's own last lines, and seconds.
  returned: when it ran
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.doorway import RELEASE_OPTIONS, failures_told
from ..module_utils.gate import pass_gate
from ..module_utils.plan.gate import MIGRATE
from ..module_utils.spooling import with_spool
from ..module_utils.unit import hands
from ..module_utils.units import begin, listen, new_transaction

FIRST_S = 2.0


def main() -> None:
    """Spec, begin, listen, exit."""
    module = AnsibleModule(
        argument_spec={
            **RELEASE_OPTIONS,
            "release": {"type": "str", "required": True},
            "transaction": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    with failures_told(module):
        result = with_spool(_rehearsed(given) if module.check_mode else _begun(given))
        if result.get("failed"):
            module.fail_json(**result)
        module.exit_json(**result)


def _begun(given: dict[str, Any]) -> dict[str, Any]:
    admitted = pass_gate(given, given["release"], what=MIGRATE)
    stack, transaction = given["stack"], given["transaction"] or new_transaction()
    asked = {name: given[name] for name in (*RELEASE_OPTIONS, "release")}
    begin(stack, transaction, {**asked, "entry": admitted.entry, "gate": admitted.allowed, "state": "migrated"})
    result = listen(stack, transaction, 0, least_s=FIRST_S, most_s=FIRST_S).as_result()
    return {**result, "display": [*admitted.warnings, *result["display"]]}


def _rehearsed(given: dict[str, Any]) -> dict[str, Any]:
    # Loaded here: a real run has all of it done by its unit.
    from ..module_utils.release import migrate, request_from  # noqa: PLC0415
    from ..module_utils.report import migrated  # noqa: PLC0415

    host = hands(given["environment_name"])
    return migrated(*migrate(host, request_from(host, given), given["release"], rehearse=True))


if __name__ == "__main__":
    main()
