#!/usr/bin/python
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: runbook
short_description: Hold a run to the front matter of its runbook
description:
  - Reads C(runbooks/<name>.md), checks what the operator gave with C(-e) against the inputs that are declared there,
    and checks that the hosts of the play fit its scope. Everything that is wrong is told at once.
  - Meant to be the first task of C(playbooks/<name>.yml), with C(run_once). Runs on the controller and needs no
    connection to a host.
version_added: 0.1.0
author:
  - Seisei operations (@seisei)
options:
  name:
    description: Name of the runbook, which is the stem of its page and of its playbook.
    type: str
    required: true
attributes:
  check_mode:
    description: Never changes anything. Under check mode it says so and lists the preconditions.
    support: full
"""

EXAMPLES = r"""
- name: Read the runbook
  seisei.ops.runbook:
    name: deploy
  run_once: true
  register: runbook

- name: Use an input that was checked
  ansible.builtin.debug:
    msg: "{{ runbook.inputs.stack }}"
"""

RETURN = r"""
inputs:
  description:
    - Every input that the runbook declares, typed, defaults included; null for one that is optional and was left out.
    - Durations are seconds. Times are ISO 8601 texts in UTC.
  returned: success
  type: dict
  sample: {"stack": "odoo18", "release": "sha-19b9b98"}
environment:
  description: Name of the environment of the hosts; several are joined by a comma; empty for hosts outside of any.
  returned: success
  type: str
  sample: staging
hosts:
  description: The hosts of the play.
  returned: success
  type: list
  elements: str
display:
  description: What is about to happen, for the person at the terminal.
  returned: success
  type: list
  elements: str
report:
  description: The same for the run's report, with the name of the runbook and whether this is a rehearsal.
  returned: success
  type: dict
"""
