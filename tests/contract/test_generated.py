"""What is generated and committed is what bin/render.py would write now."""

from __future__ import annotations

import pytest

from plugins.plugin_utils.generated import ROOT, generated_files

FILES = generated_files()


def test_something_is_generated() -> None:
    assert {"runbooks/README.md", "docs/stack-file.md", "roles/stacks/meta/argument_specs.yml"} < FILES.keys()


@pytest.mark.parametrize("name", FILES)
def test_a_generated_file_is_up_to_date(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name](), "run .venv/bin/python bin/render.py"
