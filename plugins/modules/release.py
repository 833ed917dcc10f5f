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
  - It is carried through by a unit of systemd on the host, which does not end with the connection or the controller.
    The module starts the unit and listens for a while; the action goes on asking, and shows each step as it comes.
author: Seisei operations (@seisei)
extends_documentation_fragment: [seisei.ops.filled_in]
options:
  state:
    description:
      - C(deployed) brings the stack to O(release); C(rolled_back) returns to an earlier release.
      - C(attached) starts nothing, and listens to what is going on, or tells how the newest one ended.
    type: str
    choices: [deployed, rolled_back, attached]
    default: deployed
  release:
    description: The release's tag, such as V(sha-19b9b98). For C(rolled_back) the target, when it is not O(steps) back.
    type: str
    default: ''
  steps:
    description: How many good releases to go back.
    type: int
    default: 1
  again:
    description: Deploy a release although it was taken back on this host before.
    type: bool
    default: false
  migrate:
    description:
      - Has a deploy run the release's migrations (C(x-ops.migrate)) before it starts. Where they fail, nothing goes
        live.
      - Back up first; deploy.yml does.
    type: bool
    default: false
  transaction:
    description: Filled in by the action plugin. Names what is begun, or what to listen to.
    type: str
    default: ''
  heard:
    description: Filled in by the action plugin. How many events of it were shown already.
    type: int
    default: 0
  break_glass:
    description: >-
      Read by the action plugin. Deploys without verification, acceptance and approval; O(reason) is signed, and
      somebody else has to close it.
    type: bool
    default: false
  window_reason:
    description: Read by the action plugin. Why it has to be at a time when releases are refused; signed.
    type: str
    default: ''
  auto_promote:
    description: Read by the action plugin. Proposes the release for the next environment once it is live here.
    type: bool
    default: false
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

- name: Look on again
  seisei.ops.release:
    stack: odoo18
    state: attached

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
    - It is there when the transaction failed as well, with the steps up to then.
  returned: when something was done
  type: dict
targets:
  description:
    - Every release that the stack can be returned to, with how many steps back it is, whether it is warm, paused,
      stopped, an image only or not even that, the seconds it takes by what was measured here, and what the migrations
      that were applied since mean to it.
  returned: when a rollback is rehearsed
  type: list
  elements: dict
transaction:
  description: What goes on; the action asks for it again until it has ended.
  returned: while it goes on
  type: str
heard:
  description: How many of its events were told.
  returned: while it goes on
  type: int
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.doorway import RELEASE_OPTIONS, failures_told
from ..module_utils.gate import pass_gate
from ..module_utils.spooling import with_spool
from ..module_utils.unit import hands
from ..module_utils.units import begin, listen, new_transaction

# For so long the first answer is waited for: a rollback is over by then, and a deploy has something to show. Each
# answer costs the host a start of this module, which is taken from visitors.
FIRST_S = {"rolled_back": 5.0, "deployed": 2.0}
# Later answers come with the next step, or after this: a connection that says nothing for long looks dead.
NEXT_S = 1.0
MOST_S = 10.0


def main() -> None:
    """Spec, begin, listen, exit."""
    module = AnsibleModule(
        argument_spec={
            **RELEASE_OPTIONS,
            "state": {"type": "str", "choices": ["deployed", "rolled_back", "attached"], "default": "deployed"},
            "release": {"type": "str", "default": ""},
            "steps": {"type": "int", "default": 1},
            "again": {"type": "bool", "default": False},
            "migrate": {"type": "bool", "default": False},
            "transaction": {"type": "str", "default": ""},
            "heard": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    given = module.params
    with failures_told(module):
        result = with_spool(_result(given, rehearsal=module.check_mode))
        if result.get("failed"):
            module.fail_json(**result)
        module.exit_json(**result)


def _result(given: dict[str, Any], *, rehearsal: bool) -> dict[str, Any]:
    stack, transaction = given["stack"], given["transaction"]
    if given["state"] == "attached":
        return listen(stack, transaction, given["heard"], least_s=NEXT_S, most_s=MOST_S).as_result()
    if rehearsal:
        return _rehearsed(given)
    asked = {name: given[name] for name in (*RELEASE_OPTIONS, "state", "release", "steps", "again", "migrate")}
    # Of the gate and the stack file, the unit is told what this host found: not what it was sent.
    asked["gate"] = {}
    warnings: tuple[str, ...] = ()
    if given["state"] == "deployed":
        admitted = pass_gate(given, given["release"])
        asked |= {"entry": admitted.entry, "gate": admitted.allowed}
        warnings = admitted.warnings
    transaction = transaction or new_transaction()
    begin(stack, transaction, asked)
    first_s = FIRST_S[given["state"]]
    result = listen(stack, transaction, 0, least_s=first_s, most_s=first_s).as_result()
    return {**result, "display": [*warnings, *result["display"]]}


def _rehearsed(given: dict[str, Any]) -> dict[str, Any]:
    # Loaded here: a real run has all of it done by its unit.
    from ..module_utils.release import deploy, request_from, roll_back  # noqa: PLC0415
    from ..module_utils.report import told  # noqa: PLC0415
    from ..module_utils.rollback import with_targets  # noqa: PLC0415

    host = hands(given["environment_name"])
    request = request_from(host, given)
    if given["state"] == "deployed":
        return told(*deploy(host, request, given["release"], again=given["again"], rehearse=True))
    steps, sha = given["steps"], given["release"]
    return with_targets(
        host, given["stack"], lambda: told(*roll_back(host, request, steps=steps, sha=sha, rehearse=True))
    )


if __name__ == "__main__":
    main()
