#!/usr/bin/python
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: statement_info
short_description: Tell what waits for somebody to say something
description:
  - Broken glass that nobody else has closed, approvals that hold, and releases that were proposed in the last week.
  - Runs on the controller and needs no connection to a host. Use it with C(run_once).
version_added: 0.1.0
author:
  - Seisei operations (@seisei)
options:
  stack:
    description: Approvals and proposals of this stack only. Broken glass is told of every stack.
    type: str
    default: ""
  waiting_of:
    description:
      - Name of the registered result of M(seisei.ops.release_info). What hosts keep because the ledger was away is told
        as well.
    type: str
    default: ""
  quiet:
    description:
      - Show nothing; what was found is in C(rows) and in the report. Broken glass, and that nothing could be found out,
        is a warning on standard error then.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reads only.
    support: full
"""

EXAMPLES = r"""
- name: Show what is open
  seisei.ops.statement_info:
  run_once: true
"""

RETURN = r"""
rows:
  description: One for each statement, with C(open) as its kind.
  returned: success
  type: list
  elements: dict
"""
