#!/usr/bin/python
"""Converge all stacks of a host in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: stacks
short_description: Converge the stacks of a host, edge included, in one task
description:
  - Reads the engine once, plans all stacks and the edge, and applies independent steps side by side.
  - Nothing to change means nothing done. Volumes are never removed.
  - Nothing that the estate does not own is touched.
  - An action plugin of the same name reads the stack files, resolves images to digests and fetches secrets on the
    controller; the module does the rest on the host.
author: Seisei operations (@seisei)
options:
  only:
    description: Names of the stacks to converge; all declared stacks when empty.
    type: list
    elements: str
    default: []
  stacks:
    description: Filled in by the action plugin. One entry a stack, with its resolved tree, digests and baseline.
    type: list
    elements: dict
    default: []
  secrets:
    description: Filled in by the action plugin. Values of the secrets, by stack and name.
    type: dict
    default: {}
  registry_auth:
    description: Filled in by the action plugin. The registry login as the engine takes it.
    type: dict
    default: {}
  environment_name:
    description: Filled in by the action plugin.
    type: str
    default: ''
attributes:
  check_mode:
    description: Prints the plan that a real run would apply.
    support: full
  diff_mode:
    description: Shows each step with its reason, at the level of a field. Secret values never appear.
    support: full
"""

EXAMPLES = r"""
- name: Converge every stack of the host
  seisei.ops.stacks:

- name: Converge the edge alone
  seisei.ops.stacks:
    only: [edge]
"""

RETURN = r"""
plan:
  description: The steps with their reasons, and notes.
  returned: always
  type: list
  elements: str
  sample: ["odoo18: create container odoo18-redis (missing)"]
report:
  description: Steps done, and seconds.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.converge import converge
from ..module_utils.doorway import failures_told
from ..module_utils.hands import host_for


def main() -> None:
    """Spec, read, plan, apply, exit."""
    module = AnsibleModule(
        argument_spec={
            "only": {"type": "list", "elements": "str", "default": []},
            "stacks": {"type": "list", "elements": "dict", "default": []},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "registry_auth": {"type": "dict", "default": {}, "no_log": True},
            "environment_name": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    with failures_told(module):
        result = converge(
            host_for(given["environment_name"], given["registry_auth"]),
            given["stacks"],
            given["secrets"],
            rehearse=module.check_mode,
        )
        if module._diff:
            result["diff"] = {"before": "", "after": "".join(f"{line}\n" for line in result["plan"])}
            result["display"] = result["notes"]
        if result.get("error"):
            module.fail_json(**result)
        module.exit_json(**result)


if __name__ == "__main__":
    main()
