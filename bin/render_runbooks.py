"""Write the generated parts of runbooks/*.md and their index; with --check only say which are out of date."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from plugins.module_utils.model.errors import OpsError
from plugins.plugin_utils.runbook_page import ROOT, render_index, render_page, runbook_names


def main() -> int:
    """Exit 0 when all pages are (now) up to date, 1 when one is not, 2 when one cannot be rendered."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is out of date")
    check = parser.parse_args().check
    wrong = stale = 0
    for name in (*runbook_names(), "README"):
        path = ROOT / "runbooks" / f"{name}.md"
        try:
            wanted = render_index() if name == "README" else render_page(name)
        except OpsError as error:
            print(error, file=sys.stderr)
            wrong += 1
            continue
        if wanted != path.read_text(encoding="utf-8"):
            stale += 1
            print(f"runbooks/{name}.md {'is out of date' if check else 'written'}")
            if not check:
                path.write_text(wanted, encoding="utf-8")
    if stale and check:
        print("Next: run .venv/bin/python bin/render_runbooks.py")
    return 2 if wrong else 1 if stale and check else 0


if __name__ == "__main__":
    sys.exit(main())
