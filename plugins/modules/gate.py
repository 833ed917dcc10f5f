#!/usr/bin/python
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gate
short_description: Ask whether a release may go live, before anything is done for it
description:
  - Judges as a deploy or a migration would, and fails with everything that is missing and the commands that supply it.
  - It signs and writes nothing. Runs on the controller and needs no connection to a host.
version_added: 0.1.0
author:
  - Seisei operations (@seisei)
options:
  stack:
    description: Name of the stack.
    type: str
    required: true
  release:
    description: The release, as C(sha-<commit>).
    type: str
    required: true
  reason:
    description: Why, where O(break_glass) is asked.
    type: str
    default: ""
  break_glass:
    description: Ask whether the glass may be broken for it.
    type: bool
    default: false
  window_reason:
    description: Why it has to be at a time when releases are refused.
    type: str
    default: ""
attributes:
  check_mode:
    description: The same; nothing is changed by asking.
    support: full
"""

EXAMPLES = r"""
- name: See that the release may go live
  seisei.ops.gate:
    stack: odoo18
    release: sha-19b9b98
  run_once: true
"""

RETURN = r"""
display:
  description: What the answer relies on.
  returned: success
  type: list
  elements: str
"""
