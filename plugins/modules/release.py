#!/usr/bin/python
"""Deploy a release of a stack, or roll back to an earlier one."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: release
short_description: Bring a stack to a release, or back to an earlier one
description:
  - Starts the candidate, waits for its health, tests it off the edge, switches the edge at once, confirms by the edge's
    API and by probes, tests through the edge, drains the old release and keeps it on standby.
  - A failure before the switch removes the candidate and nobody saw anything; after it, the edge goes back first.
  - An action plugin of the same name resolves the release to digests on the controller; what runs is a digest.
author: Seisei operations (@seisei)
extends_documentation_fragment: [seisei.ops.filled_in]
options:
  state:
    description: C(deployed) brings the stack to O(release); C(rolled_back) returns to an earlier release.
    type: str
    choices: [deployed, rolled_back]
    default: deployed
  release:
    description: The release's tag, such as V(sha-19b9b98). For C(rolled_back) the target, when it is not O(steps) back.
    type: str
    default: ''
  steps:
    description: How many good releases to go back.
    type: int
    default: 1
attributes:
  check_mode:
    description: Says from which release to which, without touching anything.
    support: full
  diff_mode:
    description: Shows the release before and after.
    support: full
"""

EXAMPLES = r"""
- name: Deploy Odoo
  seisei.ops.release:
    stack: odoo18
    release: sha-19b9b98

- name: Return to the release before
  seisei.ops.release:
    stack: odoo18
    state: rolled_back
"""

RETURN = r"""
report:
  description:
    - The receipt of the transaction, with seconds per step, the smoke tests' tally, milliseconds from the decision to
      confirmed traffic (C(flip_ms)), and what was in flight and cut at the drain.
  returned: when something was done
  type: dict
"""

import signal

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.doorway import RELEASE_OPTIONS, failures_told
from ..module_utils.hands import host_for
from ..module_utils.release import deploy, request_from, roll_back
from ..module_utils.report import told


def main() -> None:
    """Spec, read, plan, apply, exit."""
    module = AnsibleModule(
        argument_spec={
            **RELEASE_OPTIONS,
            "state": {"type": "str", "choices": ["deployed", "rolled_back"], "default": "deployed"},
            "release": {"type": "str", "default": ""},
            "steps": {"type": "int", "default": 1},
        },
        supports_check_mode=True,
    )
    given = module.params
    # The operator's connection may go; what was begun here is finished or undone all the same.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with failures_told(module):
        host = host_for(given["environment_name"], given["registry_auth"])
        request = request_from(host, given)
        if given["state"] == "deployed":
            receipt, said = deploy(host, request, given["release"], rehearse=module.check_mode)
        else:
            steps, sha = given["steps"], given["release"]
            receipt, said = roll_back(host, request, steps=steps, sha=sha, rehearse=module.check_mode)
        module.exit_json(**told(receipt, said))


if __name__ == "__main__":
    main()
