#!/usr/bin/python
"""What runs on a host, and how it came to be."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: release_info
short_description: What runs on a host, and how it came to be
description: Reads only. An action plugin of the same name supplies the stacks.
author: Seisei operations (@seisei)
options:
  stack:
    description: Name of one stack; all declared stacks when empty.
    type: str
    default: ''
  history:
    description: Whether to return the events of history instead of what runs now.
    type: bool
    default: false
  most:
    description: How many events of each stack to return, the newest first; 0 means all.
    type: int
    default: 20
  stacks:
    description: Filled in by the action plugin.
    type: list
    elements: dict
    default: []
  environment_name:
    description: Filled in by the action plugin.
    type: str
    default: ''
attributes:
  check_mode:
    description: Reads only, so a rehearsal is the real thing.
    support: full
  diff_mode:
    description: Nothing ever differs.
    support: none
"""

EXAMPLES = r"""
- name: See what runs
  seisei.ops.release_info:
  register: running
"""

RETURN = r"""
rows:
  description:
    - One row a stack, or one an event; each with environment and host added by the action plugin.
    - A stack's C(loosened) has the items of the CIS Docker Benchmark (section 5) at which any of its containers is
      looser, and C(findings) each with its container and in words.
  returned: always
  type: list
  elements: dict
to_ledger:
  description:
    - The statements that wait on the host to be written into the ledger, with C(waiting), C(ledger_head) and
      C(spool_faults) as M(seisei.ops.spool) tells them.
  returned: where they can be read
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.doorway import failures_told
from ..module_utils.hands import host_for
from ..module_utils.model.stack import parse_tree
from ..module_utils.release import events, status
from ..module_utils.spooling import with_spool


def main() -> None:
    """Spec, read, exit."""
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "default": ""},
            "history": {"type": "bool", "default": False},
            "most": {"type": "int", "default": 20},
            "stacks": {"type": "list", "elements": "dict", "default": []},
            "environment_name": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    with failures_told(module):
        host = host_for(given["environment_name"])
        stacks = [parse_tree(entry["tree"], entry["name"]) for entry in given["stacks"]]
        if given["history"]:
            rows = [row for stack in stacks for row in events(host, stack.name, given["most"])]
        else:
            rows = [status(host, stack) for stack in stacks]
        module.exit_json(**with_spool({"changed": False, "rows": rows}))


if __name__ == "__main__":
    main()
