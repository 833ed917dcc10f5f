#!/usr/bin/python
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ledger_history
short_description: How it came to be, from the ledger
description:
  - Rows of what was said and done, from the ledger, from what waits on hosts to be written into it, and from the hosts'
    own history where neither knows an event.
  - Where the ledger cannot be read, hosts speak for themselves, and the answer says so.
  - Runs on the controller and needs no connection to a host. Use it with C(run_once).
version_added: 0.1.0
author:
  - Seisei operations (@seisei)
options:
  past_of:
    description: Name of the registered result of M(seisei.ops.release_info) with its history.
    type: str
    required: true
  stack:
    description: Only this stack; all when empty.
    type: str
    default: ''
  since:
    description: Only from this time on, ISO 8601 with its zone.
    type: str
    default: ''
  before:
    description: Only before this time, ISO 8601 with its zone.
    type: str
    default: ''
  last:
    description:
      - How many rows of each stack, the newest first; 0 means all. 20 where neither a period nor this is given.
    type: int
attributes:
  check_mode:
    description: Reads only, so a rehearsal is the real thing.
    support: full
"""

EXAMPLES = r"""
- name: See how it came to be
  seisei.ops.ledger_history:
    past_of: past
    stack: odoo18
  run_once: true
"""

RETURN = r"""
rows:
  description:
    - One row for each statement or event, the newest first. C(kept) says whether it is in the C(ledger), C(waiting) on
      a host to be written, or known to a C(host) alone; C(entry) is its number in the ledger.
    - Of what happened, C(approvals) and C(verification) say who allowed and who verified it, C(request) is the id of
      the request, and C(by) who signed that, as the host relied on them.
    - What is not signed by whom it says is left out.
  returned: success
  type: list
  elements: dict
"""
