#!/usr/bin/python
"""What a host has to say to the ledger."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: spool
short_description: Take what waits on a host into the ledger
description:
  - A host signs what it did and keeps it until a controller has written it into the ledger, because the ledger's
    storage may be away when a rollback is needed.
  - An action plugin of the same name fetches what waits, writes it into the ledger, and lets the host drop it. Whatever
    is in the ledger already is not written twice. The host keeps the newest entry's number and hash, and never goes
    back.
  - Fails when the storage is away, or when the ledger is not what this host or this controller knew of it.
author: Seisei operations (@seisei)
options:
  state:
    description:
      - C(merged) writes what waits into the ledger. C(told) says what waits and which head the host knows, and leaves
        it there. C(acknowledged) is for the action plugin.
    type: str
    choices: [merged, told, acknowledged]
    default: merged
  ids:
    description: >-
      Filled in by the action plugin. Statements that are in the ledger; with C(told), those that are not to be told
      again.
    type: list
    elements: str
    default: []
  head:
    description: Filled in by the action plugin. The newest entry of the ledger, as C(number) and C(hash).
    type: dict
    default: {}
attributes:
  check_mode:
    description: Says what waits, and leaves it there.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
"""

EXAMPLES = r"""
- name: Take what waits on the host into the ledger
  seisei.ops.spool:
"""

RETURN = r"""
to_ledger:
  description: The statements that wait, oldest first, each with its C(text) and C(signature).
  returned: by the module
  type: list
  elements: dict
waiting:
  description: How many statements wait on the host.
  returned: success
  type: int
ledger_head:
  description: The newest entry of the ledger that the host knows, as C(number) and C(hash).
  returned: success
  type: dict
spool_faults:
  description: A sentence for each file that is no statement.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.doorway import failures_told
from ..module_utils.gateway.host_spool import HostSpool
from ..module_utils.model.ledger import head_from
from ..module_utils.spooling import for_the_ledger


def main() -> None:
    """Spec, read, apply, exit."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["merged", "told", "acknowledged"], "default": "merged"},
            "ids": {"type": "list", "elements": "str", "default": []},
            "head": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    given = module.params
    with failures_told(module):
        spool = HostSpool()
        changed = given["state"] == "acknowledged"
        if changed and not module.check_mode:
            spool.acknowledge(given["ids"], head_from(given["head"]))
        told = given["ids"] if given["state"] == "told" else ()
        module.exit_json(changed=changed, **for_the_ledger(spool, told))


if __name__ == "__main__":
    main()
