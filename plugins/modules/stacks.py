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
  - Nothing that the estate does not own is touched. What the host has of a stack that is not declared any more is taken
    from the edge and stopped; its data stays.
  - An action plugin of the same name reads the stack files, resolves images to digests and fetches secrets on the
    controller; the module does the rest on the host.
author: Seisei operations (@seisei)
extends_documentation_fragment: seisei.ops.stack_file
options:
  only:
    description: Names of the stacks to converge; all declared stacks when empty.
    type: list
    elements: str
    default: []
  mode:
    description:
      - V(converge) brings the host to what is declared.
      - V(drift) changes nothing and reports what differs from what was last converged, so what was changed by hand. It
        asks neither registry nor secrets store.
    type: str
    choices: [converge, drift]
    default: converge
  save_plan:
    description: A name under which a rehearsal keeps its plan on the controller, in build/plans/.
    type: str
    default: ''
  apply_plan:
    description:
      - The name of a saved plan to apply, with the stacks and digests as they were when it was made.
      - Refused when the host or a secret has changed since.
    type: str
    default: ''
  declared:
    description: Filled in by the action plugin. Names of all stacks of the estate; none when O(only) names some.
    type: list
    elements: str
  secrets:
    description: Filled in by the action plugin. Values of the secrets, by stack and name.
    type: dict
    default: {}
  saved_plan:
    description: Filled in by the action plugin. What the host was like when the plan was saved, and its steps.
    type: dict
    default: {}
  registry_auth:
    description: Filled in by the action plugin. The registry login as the engine takes it, as JSON.
    type: str
    default: ''
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

- name: Report what was changed by hand
  seisei.ops.stacks:
    mode: drift
"""

RETURN = r"""
plan:
  description: The steps with their reasons, and notes.
  returned: always
  type: list
  elements: str
  sample: ["odoo18/redis: create container odoo18-redis (missing)"]
notes:
  description: What a person should know or decide; it changes nothing.
  returned: always
  type: list
  elements: str
steps:
  description: The same steps for machines, each with stack, service, action, target, reason, part and after.
  returned: always
  type: list
  elements: dict
report:
  description: The steps; after a real run also which were done, which were left, and seconds.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.converge import Wish, converge, drift, rehearse
from ..module_utils.doorway import exit_with, failures_told
from ..module_utils.hands import host_for


def main() -> None:
    """Spec, read, plan, apply, exit."""
    module = AnsibleModule(
        argument_spec={
            "only": {"type": "list", "elements": "str", "default": []},
            "mode": {"type": "str", "choices": ["converge", "drift"], "default": "converge"},
            "save_plan": {"type": "str", "default": ""},
            "apply_plan": {"type": "str", "default": ""},
            "stacks": {"type": "list", "elements": "dict", "default": []},
            "declared": {"type": "list", "elements": "str"},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "saved_plan": {"type": "dict", "default": {}},
            "registry_auth": {"type": "str", "default": "", "no_log": True},
            "environment_name": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    with failures_told(module):
        host = host_for(given["environment_name"], given["registry_auth"])
        wish = Wish(given["stacks"], given["secrets"], given["declared"], given["saved_plan"])
        if given["mode"] == "drift":
            exit_with(module, drift(host, given["only"]))
        exit_with(module, rehearse(host, wish) if module.check_mode else converge(host, wish))


if __name__ == "__main__":
    main()
