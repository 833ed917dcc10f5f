#!/usr/bin/python
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ledger_audit
short_description: Verify all of the ledger
description:
  - Reads every entry from the bucket and finds what was edited, taken away, cut off, put in another order, copied or
    written anew since, and signatures that do not count. Names the entry.
  - Witnesses are this controller's own copy, the heads that hosts keep, a head that somebody gives, and the versions
    that the bucket keeps.
  - Runs on the controller and needs no connection to a host. Use it with C(run_once). It fails when the storage is
    away; what is wrong with the ledger it returns, so that it can be shown before the run fails.
version_added: 0.1.0
author:
  - Seisei operations (@seisei)
options:
  heads_of:
    description: Name of the registered result of M(seisei.ops.spool) with O(seisei.ops.spool#module:state=told).
    type: str
    required: true
  head:
    description: A head from a notification, such as V(12:0123456789ab).
    type: str
    default: ''
attributes:
  check_mode:
    description: Reads only, so a rehearsal is the real thing.
    support: full
"""

EXAMPLES = r"""
- name: Verify the ledger
  seisei.ops.ledger_audit:
    heads_of: told
  run_once: true
"""

RETURN = r"""
rows:
  description: A row for each finding, with the entry's number, the kind of finding, and what it is in words.
  returned: success
  type: list
  elements: dict
verdict:
  description: All findings in one sentence, or that there are none.
  returned: success
  type: str
report:
  description: How many entries there are, the head, findings, what waits on hosts, and hosts that gave no answer.
  returned: success
  type: dict
"""
