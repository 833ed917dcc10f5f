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

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.doorway import RELEASE_OPTIONS, failures_told
from ..module_utils.gate import pass_gate
from ..module_utils.hands import host_for
from ..module_utils.release import migrate, request_from


def main() -> None:
    """Spec, read, plan, apply, exit."""
    module = AnsibleModule(
        argument_spec={
            **RELEASE_OPTIONS,
            "release": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    with failures_told(module):
        host = host_for(given["environment_name"], given["registry_auth"])
        if not module.check_mode:
            pass_gate(given, given["release"])
        result, said = migrate(host, request_from(host, given), given["release"], rehearse=module.check_mode)
        output = result.output if result else ""
        report = {"output": output, "seconds": round(result.seconds, 2)} if result else {}
        module.exit_json(changed=True, display=[*said, *output.splitlines()[-6:]], report=report)


if __name__ == "__main__":
    main()
