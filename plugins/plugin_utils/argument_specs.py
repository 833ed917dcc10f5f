"""The part of a role's argument specs that describes ``ops_environment``, from the declaration of its keys."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import yaml

from ..module_utils.model.environment import ENVIRONMENT_KEYS
from ..module_utils.model.errors import OpsError
from .option_specs import specified

# Options by hand stand above the first line; the rest of the file is ours.
MARK = "      # Generated from plugins/module_utils/model/environment.py by bin/render.py, to the end of this file.\n"


def render_argument_specs(path: Path) -> str:
    """The file with its generated end written anew.

    :raises OpsError: when it has no line where that end begins.
    """
    by_hand, mark, _ = path.read_text(encoding="utf-8").partition(MARK)
    if not mark:
        raise OpsError("nothing says where the generated options begin", where=str(path), do=f"add the line: {MARK}")
    spec = {
        "ops_environment": {
            "description": "What differs between environments.",
            "type": "dict",
            "required": True,
            "options": specified(ENVIRONMENT_KEYS),
        }
    }
    return by_hand + mark + indent(yaml.dump(spec, Dumper=_Dumper, sort_keys=False, width=110), " " * 6)


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Lists are indented below their key, as yamllint has it."""
        super().increase_indent(flow, False)
