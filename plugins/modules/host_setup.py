#!/usr/bin/python
"""Doorway: what a host needs below its stacks."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_setup
short_description: Place the files of a host, bring them into force, and keep its units running
description:
  - Reads directories, links, files and systemd units once, plans, and takes only the steps that are needed.
  - Every new file is written beside its place and validated before the first one is placed.
  - What a changed file needs to come into force happens once, after all files are placed. When it fails, the files are
    put back and it is run again on them, so that a service never stays down for a setting. When the run is interrupted
    before it, the next run does it.
  - A restart or a reload is only due to a unit that runs.
  - Not for secrets, since C(--diff) shows the files.
author: [seisei-ops]
options:
  directories:
    description: Directories owned by root.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      mode: {description: Octal mode in quotes., type: str, default: "0755"}
  links:
    description: Symbolic links.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path of the link., type: path, required: true}
      target: {description: Absolute path of what it leads to. It has to exist., type: path, required: true}
  files:
    description: Text files owned by root. Missing parent directories are made.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {description: Absolute path., type: path, required: true}
      content: {description: The whole text., type: str, required: true}
      mode: {description: Octal mode in quotes., type: str, default: "0644"}
      validate:
        description: Command that must accept the new file; C(%s) stands for its temporary path.
        type: list
        elements: str
      restart: {description: Unit to restart when the file changed., type: str}
      reload: {description: Unit to reload when the file changed., type: str}
      command: {description: Command to run when the file changed., type: list, elements: str}
  units:
    description: Units of systemd.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name with its ending., type: str, required: true}
      state:
        description: >-
          C(running) also starts at boot; a unit whose own conditions say that it does not apply to this kind of machine
          is left at that. C(at_boot) is for what has its work then, and is not started now. C(masked) cannot be started
          by anything.
        type: str
        choices: [running, at_boot, masked]
        default: running
      probe:
        description: Command that succeeds while the unit's effect is there. Where it fails, the unit is reloaded.
        type: list
        elements: str
"""

EXAMPLES = r"""
- name: Harden the SSH server
  seisei.ops.host_setup:
    files:
      - path: /etc/ssh/sshd_config.d/00-seisei.conf
        content: "PasswordAuthentication no\n"
        mode: "0600"
        validate: [/usr/sbin/sshd, -t, -f, "%s"]
        reload: ssh.service
    units:
      - name: ssh.service
"""

RETURN = r"""
steps:
  description: What was done, or would be under C(--check), each with its reason.
  returned: success
  type: list
  elements: str
  sample: ["place /etc/docker/daemon.json: content", "restart docker.service: /etc/docker/daemon.json changed"]
display:
  description: The same, for the person who watches.
  returned: success
  type: list
  elements: str
"""

from collections.abc import Mapping

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.apply_host_setup import apply_host, differences
from ..module_utils.doorway import failures_told
from ..module_utils.gateway import host_system
from ..module_utils.model.host_setup import FOLLOW_UPS, parse_host
from ..module_utils.plan.host_setup import plan_host

_WORDS = {"type": "list", "elements": "str"}
_DIRECTORY = {"path": {"type": "path", "required": True}, "mode": {"type": "str", "default": "0755"}}
_LINK = {"path": {"type": "path", "required": True}, "target": {"type": "path", "required": True}}
_FILE = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str", "required": True},
    "mode": {"type": "str", "default": "0644"},
    "validate": _WORDS,
    "restart": {"type": "str"},
    "reload": {"type": "str"},
    "command": _WORDS,
}
_UNIT = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["running", "at_boot", "masked"], "default": "running"},
    "probe": _WORDS,
}


def _list_of(options: Mapping[str, object], **more: object) -> dict[str, object]:
    return {"type": "list", "elements": "dict", "default": [], "options": options, **more}


SPEC = {
    "directories": _list_of(_DIRECTORY),
    "links": _list_of(_LINK),
    "files": _list_of(_FILE, mutually_exclusive=[FOLLOW_UPS]),
    "units": _list_of(_UNIT),
}


def main() -> None:
    """Spec, read, plan, apply, exit."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    with failures_told(module):
        wanted = parse_host(module.params)
        plan = plan_host(wanted, host_system.read(wanted))
        if not module.check_mode:
            apply_host(plan)
    steps = [str(step) for step in plan.steps]
    module.exit_json(
        changed=bool(steps),
        steps=steps,
        display=steps,
        diff=differences(plan) if module._diff else [],
    )


if __name__ == "__main__":
    main()
