#!/usr/bin/python
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: statement
short_description: Say something about a release, with a signature, for the ledger
description:
  - Signs with the SSH key of whoever runs it (environment variable C(SEISEI_SIGNING_KEY), or the variable
    C(ops_signing_key)), which may be in a file, in an agent or on hardware, and writes it into the ledger.
  - What may be said by whom is in C(ops_environment.gate.allowed_signers).
  - Runs on the controller and needs no connection to a host. Use it with C(run_once).
version_added: 0.1.0
author:
  - Seisei operations (@seisei)
options:
  kind:
    description:
      - C(accepted), that a person tried what a host verified, and accepts it. Give O(stack), O(release), O(digests)
        and O(definition), as they run where it was tried; what was verified has to be that.
      - C(approved), that the release may go live in the environment. Give O(stack) and O(release).
      - C(withdrawn), that a statement counts no more. Give its O(id).
      - C(closed), that somebody else looked at broken glass since. Give its O(id).
    type: str
    choices: [accepted, approved, withdrawn, closed]
    required: true
  stack:
    description: Name of the stack.
    type: str
    default: ""
  release:
    description: The release, as C(sha-<commit>).
    type: str
    default: ""
  digests:
    description: For C(accepted), the digest of each released service as it runs, by the service's name.
    type: dict
    default: {}
  definition:
    description: For C(accepted), the fingerprint of the stack file that the live release is of.
    type: str
    default: ""
  id:
    description: Id of another statement, or how it begins.
    type: str
    default: ""
  reason:
    description: Why. For C(closed) it has to have substance.
    type: str
    default: ""
  valid_for:
    description: Life of an approval in seconds. Left out, the longest that the environment grants.
    type: float
attributes:
  check_mode:
    description: Says what would be signed; signs and writes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Approve a release for production
  seisei.ops.statement:
    kind: approved
    stack: odoo18
    release: sha-19b9b98
  run_once: true
"""

RETURN = r"""
report:
  description: Id, kind and signer of the statement, and the release that it is about.
  returned: when something was said
  type: dict
"""
