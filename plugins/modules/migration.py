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
options:
  stack:
    description: Name of the stack.
    type: str
    required: true
  release:
    description: The release whose migrations are to be applied.
    type: str
    required: true
  reason:
    description: Why; goes into history.
    type: str
    default: ''
  entry:
    description: Filled in by the action plugin. The stack's resolved tree and digests.
    type: dict
  secrets:
    description: Filled in by the action plugin.
    type: dict
    default: {}
  registry_auth:
    description: Filled in by the action plugin.
    type: dict
    default: {}
  environment_name:
    description: Filled in by the action plugin.
    type: str
    default: ''
  requested_by:
    description: Filled in by the action plugin. Who runs the playbook.
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

from ..module_utils.hands import host_for, request_from
from ..module_utils.model.errors import OpsError
from ..module_utils.release import migrate


def main() -> None:
    """Spec, read, plan, apply, exit."""
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True},
            "release": {"type": "str", "required": True},
            "reason": {"type": "str", "default": ""},
            "entry": {"type": "dict"},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "registry_auth": {"type": "dict", "default": {}, "no_log": True},
            "environment_name": {"type": "str", "default": ""},
            "requested_by": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        host = host_for(given["environment_name"], given["registry_auth"])
        result, said = migrate(host, request_from(host, given), given["release"], rehearse=module.check_mode)
        output = result.output if result else ""
        report = {"output": output, "seconds": round(result.seconds, 2)} if result else {}
        module.exit_json(changed=True, display=[*said, *output.splitlines()[-6:]], report=report)
    except OpsError as error:
        module.fail_json(msg=str(error), error=error.as_dict())


if __name__ == "__main__":
    main()
