"""Options of the modules that reach object storage, documented once; their specification is backup_places.ARGUMENTS."""

from __future__ import annotations


class ModuleDocFragment:
    """What the modules of backup and restore are given."""

    DOCUMENTATION = r"""
options:
  stack:
    description: Name of the stack.
    type: str
    required: true
  tree:
    description: Filled in by the action plugin. The stack as this environment resolves it.
    type: dict
    default: {}
  environment_name:
    description: Filled in by the action plugin.
    type: str
    default: ''
  database_password:
    description: Filled in by the action plugin. Empty for a stack without a database.
    type: str
    default: ''
  storage:
    description: Filled in by the action plugin. Endpoint, bucket, prefix and region of the object storage.
    type: dict
    default: {}
  storage_ca:
    description: Filled in by the action plugin. The CA of the object storage (PEM).
    type: str
    default: ''
  storage_password:
    description: Filled in by the action plugin. The key that backups are encrypted with.
    type: str
    default: ''
  storage_credentials:
    description: Filled in by the action plugin. JSON with access_key and secret_key; empty for the instance role.
    type: str
    default: ''
"""
