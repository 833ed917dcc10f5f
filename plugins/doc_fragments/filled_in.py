"""Options that an action plugin fills in on the controller, documented once for all modules that take them."""

from __future__ import annotations


class ModuleDocFragment:
    """What every module that acts on a release is given."""

    DOCUMENTATION = r"""
options:
  stack:
    description: Name of the stack.
    type: str
    required: true
  reason:
    description: Why; goes into history.
    type: str
    default: ''
  entry:
    description: Filled in by the action plugin. The stack's resolved tree and digests.
    type: dict
  secrets:
    description: Filled in by the action plugin. Values of the stack's secrets by name.
    type: dict
    default: {}
  registry_auth:
    description: Filled in by the action plugin. The registry login as the engine takes it, as JSON.
    type: str
    default: ''
  environment_name:
    description: Filled in by the action plugin.
    type: str
    default: ''
  requested_by:
    description: Filled in by the action plugin. Who runs the playbook.
    type: str
    default: ''
  gate:
    description: Filled in by the action plugin. What was signed of the release, for this host to judge.
    type: dict
    default: {}
"""
