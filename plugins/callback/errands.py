"""Has the secrets store and the registry asked once for all hosts of a run."""

from __future__ import annotations

DOCUMENTATION = r"""
name: errands
type: aggregate
short_description: Ask the secrets store and the registry once for all hosts of a run
version_added: 0.1.0
author: Seisei operations
description:
  - Starts, with a playbook, a process beside it that fetches secrets and digests for the actions of this collection,
    keeps them in memory, and ends with the run.
  - It loads the SDKs while Ansible reads inventory and playbook, which takes a fifth of a second off every run.
  - Without it, the actions ask for themselves, on every host.
requirements:
  - to be enabled with C(callbacks_enabled)
"""

from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase

from ..module_utils.gateway import errands


class CallbackModule(CallbackBase):
    """Starts the process before the first worker is forked."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "seisei.ops.errands"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Not before: a run that fails to parse needs nobody beside it."""
        with self._display._lock:  # whoever forks holds it, so that the other process is not born with it locked
            errands.start(Path(constants.DEFAULT_LOCAL_TMP))
