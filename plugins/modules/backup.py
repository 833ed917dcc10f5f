#!/usr/bin/python
"""Back up a stack's databases and files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup
short_description: Back up a stack's databases and files to object storage, and prove it
description:
  - Streams a dump of every database, and the files of the volumes that C(x-ops.backup) names, through restic to object
    storage. Encrypted before they leave the host; no file is made on it.
  - Reads every part back from the storage. A dump is decoded to its end, and has to hold every row the database had at
    that moment; files are decoded and counted. A backup that is not proven is a failed backup.
  - The manifest is stored last. A run without one is never offered for a restore, and is cleared away later.
  - Then takes away the backups that have served their time by C(x-ops.backup.keep).
  - An action plugin of the same name reads the stack file and fetches the secrets on the controller.
author: Seisei operations (@seisei)
extends_documentation_fragment: [seisei.ops.storage]
options:
  databases:
    description: Only these of the stack's databases. With this and no O(volumes), no volume is backed up.
    type: list
    elements: str
    default: []
  volumes:
    description: Only these of the volumes that C(x-ops.backup) names.
    type: list
    elements: str
    default: []
  reason:
    description: Why it is made. Backups for safety or a migration stay for at least seven days.
    type: str
    choices: [manual, scheduled, migration, safety]
    default: manual
attributes:
  check_mode:
    description: Tells what would be backed up, with sizes.
    support: full
  diff_mode:
    description: There is nothing to differ.
    support: none
"""

EXAMPLES = r"""
- name: Back up Odoo
  seisei.ops.backup:
    stack: odoo18

- name: Back up the databases of Odoo before a migration
  seisei.ops.backup:
    stack: odoo18
    databases: [acme, globex]
    reason: migration
"""

RETURN = r"""
backup:
  description: The id of the backup, by which restore.yml finds it.
  returned: when it was made
  type: str
  sample: 20261122T061500Z-3f9a
plan:
  description: What is backed up, databases first.
  returned: always
  type: list
  elements: str
report:
  description: Parts with bytes, rows, hashes and seconds; bytes sent; C(verified), which is always true.
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

from ..module_utils.apply_backup import BackupRun, Request, present_outcome, report_outcome
from ..module_utils.backup_places import ARGUMENTS, live_release, places
from ..module_utils.doorway import failures_told
from ..module_utils.gateway.host_state import HostState
from ..module_utils.model.stack import parse_tree
from ..module_utils.plan.backup import chosen_parts


def main() -> None:
    """Spec, read, plan, apply, exit."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "databases": {"type": "list", "elements": "str", "default": []},
            "volumes": {"type": "list", "elements": "str", "default": []},
            "reason": {
                "type": "str",
                "choices": ["manual", "scheduled", "migration", "safety"],
                "default": "manual",
            },
        },
        supports_check_mode=True,
    )
    given = module.params
    with failures_told(module):
        stack = parse_tree(given["tree"], f"inventories/stacks/{given['stack']}.yml")
        databases, volumes = chosen_parts(stack, given["databases"], given["volumes"])
        state = HostState()
        release = live_release(stack.name, state)
        request = Request(given["environment_name"], stack, given["reason"], release, databases, volumes)
        # Its own lock: a release backs up before it migrates, while it holds the lock of the stack.
        lock = nullcontext() if module.check_mode else state.locked(f"{stack.name}.backup", "backup")
        with lock, places(stack, given) as found:
            run = BackupRun(request, found.restic, found.server, found.volumes)
            steps = run.look()
            plan = [str(step) for step in steps]
            if module.check_mode:
                module.exit_json(changed=True, plan=plan, display=plan, report={"plan": plan})
            outcome = run.run(steps)
        module.exit_json(
            changed=True,
            plan=plan,
            backup=outcome.manifest.run,
            display=present_outcome(outcome),
            report=report_outcome(outcome),
        )


if __name__ == "__main__":
    main()
