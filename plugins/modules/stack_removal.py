#!/usr/bin/python
"""Remove all that a host has of one stack."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: stack_removal
short_description: Remove all that a host has of a stack that is not declared any more, its data included
description:
  - Takes the stack from the edge, stops and removes its containers, then its networks, its volumes with the data in
    them, its configs, secrets and records. Its history stays.
  - An action plugin of the same name refuses a stack that is declared.
author: Seisei operations (@seisei)
options:
  stack:
    description: Name of the stack.
    type: str
    required: true
  environment_name:
    description: Filled in by the action plugin.
    type: str
    default: ''
attributes:
  check_mode:
    description: Prints the plan that a real run would apply.
    support: full
  diff_mode:
    description: Shows each step.
    support: full
"""

EXAMPLES = r"""
- name: Remove a stack that was taken from the estate
  seisei.ops.stack_removal:
    stack: langbot
"""

RETURN = r"""
plan:
  description: The steps with their reasons.
  returned: always
  type: list
  elements: str
steps:
  description: The same steps for machines.
  returned: always
  type: list
  elements: dict
report:
  description: The steps; after a real run also which were done, which were left, and seconds.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.converge import remove_stack
from ..module_utils.doorway import exit_with, failures_told
from ..module_utils.hands import host_for


def main() -> None:
    """Spec, read, plan, apply, exit."""
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True},
            "environment_name": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    with failures_told(module):
        host = host_for(given["environment_name"])
        exit_with(module, remove_stack(host, given["stack"], rehearsal=module.check_mode))


if __name__ == "__main__":
    main()
