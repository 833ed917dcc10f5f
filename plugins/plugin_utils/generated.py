"""Every file of the repository that is generated, whole or in part, and how."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .argument_specs import render_argument_specs
from .runbook_page import ROOT, render_index, render_page, runbook_names
from .stack_file_page import render_stack_file

__all__ = ["ROOT", "generated_files"]

SPECS = "roles/stacks/meta/argument_specs.yml"


def generated_files() -> dict[str, Callable[[], str]]:
    """By path from the root: what gives the text that the file should have."""
    return {
        **{f"runbooks/{name}.md": partial(render_page, name) for name in runbook_names()},
        "runbooks/README.md": render_index,
        "docs/stack-file.md": render_stack_file,
        SPECS: partial(render_argument_specs, ROOT / SPECS),
    }
