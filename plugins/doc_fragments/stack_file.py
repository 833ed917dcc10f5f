"""The keys of a stack file, as the parser declares them, below the option that carries a stack's tree."""

from __future__ import annotations

import json

from ..module_utils.model.stack_keys import STACK_KEYS
from ..plugin_utils.option_specs import documented


class ModuleDocFragment:
    """What every module that is given whole stacks understands of them."""

    # JSON is YAML. Built from the declaration, so that it cannot tell something else than the parser does.
    DOCUMENTATION = json.dumps(
        {
            "options": {
                "stacks": {
                    "description": "Filled in by the action plugin. One entry a stack.",
                    "type": "list",
                    "elements": "dict",
                    "default": [],
                    "suboptions": {
                        "name": {"description": "Name of the stack.", "type": "str", "required": True},
                        "tree": {
                            "description": [
                                "The stack file inventories/stacks/<name>.yml with its names resolved.",
                                "These are the keys that may stand in it; see docs/stack-file.md with examples.",
                            ],
                            "type": "dict",
                            "required": True,
                            "suboptions": documented(STACK_KEYS),
                        },
                        "digests": {"description": "Digest of each image, or released service.", "type": "dict"},
                        "baseline": {"description": "The release that a bare host starts from.", "type": "str"},
                    },
                }
            }
        }
    )
