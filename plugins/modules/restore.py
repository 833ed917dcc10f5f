#!/usr/bin/python
"""Restore a database or the files of a volume from a backup."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: restore
short_description: Restore a database or a volume from a verified backup
description:
  - Loads a database out of sight, in one transaction, compares every table with the manifest by count and hash, and
    only then gives it its name. Whatever fails before leaves the target as it was.
  - A database that holds tables is replaced only when O(replace) names it again, after a verified backup of it.
  - A database in use is refused, and the users are named.
  - Files go into an empty or a new volume, by one rename, after all of them were compared.
  - An action plugin of the same name reads the stack file and fetches the secrets on the controller.
author: Seisei operations (@seisei)
extends_documentation_fragment: [seisei.ops.storage]
options:
  database:
    description: Database to restore. Give this or O(volume).
    type: str
    default: ''
  volume:
    description: Volume to restore, by its name in the stack file. Give this or O(database).
    type: str
    default: ''
  target:
    description: Name to restore under; that of the backup when left out.
    type: str
    default: ''
  snapshot:
    description: C(latest), the id of a backup, or a time with its zone, for the newest backup until then.
    type: str
    default: latest
  replace:
    description: The name of the target typed again, to replace a database that is not empty.
    type: str
    default: ''
attributes:
  check_mode:
    description: Lists the backups there are, and the steps that a real run would take.
    support: full
  diff_mode:
    description: There is nothing to differ.
    support: none
"""

EXAMPLES = r"""
- name: Restore yesterday's database beside the present one
  seisei.ops.restore:
    stack: odoo18
    database: acme
    target: acme_restored
    snapshot: 2026-11-21T23:59+09:00
"""

RETURN = r"""
plan:
  description: The steps with their reasons.
  returned: always
  type: list
  elements: str
backups:
  description: The backups there are, newest first.
  returned: in check mode
  type: list
  elements: dict
report:
  description: C(rto_s) is the time from the first look to the last step; bytes, rows or files, seconds of loading.
  returned: always
  type: dict
display:
  description: The same as lines for a terminal.
  returned: always
  type: list
  elements: str
"""

from contextlib import nullcontext

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.apply_restore import choose_restore, lock_name, rehearsed, report_restored
from ..module_utils.backup_places import ARGUMENTS, places
from ..module_utils.doorway import failures_told
from ..module_utils.gateway.host_state import HostState
from ..module_utils.model.stack import parse_tree


def main() -> None:
    """Spec, read, plan, apply, exit."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "database": {"type": "str", "default": ""},
            "volume": {"type": "str", "default": ""},
            "target": {"type": "str", "default": ""},
            "snapshot": {"type": "str", "default": "latest"},
            "replace": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    with failures_told(module):
        stack = parse_tree(given["tree"], f"inventories/stacks/{given['stack']}.yml")
        # A rehearsal neither waits for a release nor stands in its way.
        lock = nullcontext() if module.check_mode else HostState().locked(lock_name(stack, given), "restore")
        with lock, places(stack, given) as found:
            restore = choose_restore(stack, given, found, rehearsing=module.check_mode)
            steps = restore.look() if restore else ()
            plan = [str(step) for step in steps]
            if module.check_mode or restore is None:
                result = rehearsed(stack.name, given["environment_name"], found.restic, plan)
            else:
                result = report_restored(restore, restore.run(steps))
        module.exit_json(changed=bool(plan), plan=plan, **result)


if __name__ == "__main__":
    main()
