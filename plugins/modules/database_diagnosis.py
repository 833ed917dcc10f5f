#!/usr/bin/python
"""Diagnose a stack's database connection from where its application stands."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: database_diagnosis
short_description: Find the first broken layer between an application and its database
description:
  - Reads what the running container was really told, enters its network, and walks configuration, DNS, TCP, TLS,
    authentication, database, session limits and a query, in this order.
  - Names the first broken layer with its cause, the evidence, and the next action.
  - Changes nothing. The one row it writes, into a temporary table, is taken back.
  - A broken connection is an answer and no failure of the task; see C(healthy) in the result.
  - An action plugin of the same name reads the stack file and fetches the secret on the controller.
author: Seisei operations (@seisei)
options:
  stack:
    description: Name of the stack.
    type: str
    required: true
  service:
    description: Service whose container is looked at; the first released one by default.
    type: str
    default: ''
  blocked_limit:
    description: Seconds that a session may wait for a lock before it counts as broken.
    type: float
    default: 5
  tree:
    description: Filled in by the action plugin. The stack as this environment resolves it.
    type: dict
    default: {}
  environment_name:
    description: Filled in by the action plugin.
    type: str
    default: ''
  password:
    description: Filled in by the action plugin. The present value of the database's secret.
    type: str
    default: ''
  secret_id:
    description: Filled in by the action plugin. Where that value comes from.
    type: str
    default: ''
  limit:
    description: Filled in by the action plugin. The options that choose this environment on a command line.
    type: str
    default: ''
  foreign:
    description: Filled in by the action plugin. Hosts of other environments' databases, each with its environment.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Does the same; there is nothing to rehearse.
    support: full
  diff_mode:
    description: There is nothing to differ.
    support: none
"""

EXAMPLES = r"""
- name: Diagnose the database connection of Odoo
  seisei.ops.database_diagnosis:
    stack: odoo18
"""

RETURN = r"""
healthy:
  description: Whether every layer let us through.
  returned: always
  type: bool
report:
  description:
    - C(verdict) is C(healthy) or the first broken layer, C(code) names the cause for programs, C(cause) and C(next) for
      people. C(layers) hold state, milliseconds and evidence of each, C(databases) the state of each database.
  returned: always
  type: dict
display:
  description: The same as lines for a terminal.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.diagnose_database import Request, look
from ..module_utils.doorway import failures_told
from ..module_utils.gateway.engine import Engine
from ..module_utils.gateway.host_state import HostState
from ..module_utils.model.stack import parse_tree


def main() -> None:
    """Spec, read, plan, tell."""
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True},
            "service": {"type": "str", "default": ""},
            "blocked_limit": {"type": "float", "default": 5},
            "tree": {"type": "dict", "default": {}},
            "environment_name": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "secret_id": {"type": "str", "default": "", "no_log": False},
            "limit": {"type": "str", "default": ""},
            "foreign": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    given = module.params
    with failures_told(module):
        request = Request(
            stack=parse_tree(given["tree"], f"inventories/stacks/{given['stack']}.yml"),
            environment=given["environment_name"],
            service=given["service"],
            password=given["password"],
            secret_id=given["secret_id"],
            limit=given["limit"],
            foreign=given["foreign"],
            blocked_limit_s=given["blocked_limit"],
        )
        answer = look(request, Engine(), HostState())
        report = {**answer.diagnosis.as_dict(), "diagnose_s": answer.seconds}
        module.exit_json(changed=False, healthy=answer.diagnosis.healthy, report=report, display=list(answer.lines))


if __name__ == "__main__":
    main()
