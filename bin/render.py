"""Write every generated file, or part of one, anew; with --check only say which are out of date.

Runbooks and their index come from front matter and playbooks; docs/stack-file.md and the end of
roles/stacks/meta/argument_specs.yml from the declared keys in plugins/module_utils/model/;
docs/compose-differences.md from tests/differential/declared.yml.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from plugins.module_utils.model.errors import OpsError
from plugins.plugin_utils.generated import ROOT, generated_files
from tests.differential.declared import page


def main() -> int:
    """Exit 0 when all files are (now) up to date, 1 when one is not, 2 when one cannot be rendered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is out of date")
    check = parser.parse_args().check
    wrong = stale = 0
    for name, render in {**generated_files(), "docs/compose-differences.md": page}.items():
        path = ROOT / name
        try:
            wanted = render()
        except OpsError as error:
            print(error, file=sys.stderr)
            wrong += 1
            continue
        if not path.is_file() or wanted != path.read_text(encoding="utf-8"):
            stale += 1
            print(f"{name} {'is out of date' if check else 'written'}")
            if not check:
                path.write_text(wanted, encoding="utf-8")
    if stale and check:
        print("Next: run .venv/bin/python bin/render.py")
    return 2 if wrong else 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main())
