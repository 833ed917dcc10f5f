"""Run one measurement of tests/bench, or list them.

A measurement is a script ``tests/bench/bench_<name>.py`` whose first line of documentation says what it measures.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PREFIX = "bench_"


def measurements() -> dict[str, Path]:
    """The scripts by name."""
    scripts = sorted((ROOT / "tests" / "bench").glob(f"{PREFIX}*.py"))
    return {script.stem.removeprefix(PREFIX): script for script in scripts}


def main(arguments: list[str]) -> int:
    """Run the named measurement with the remaining arguments; the exit code is its own, or 2 for an unknown name."""
    known = measurements()
    if not arguments:
        for name, script in known.items():
            print(f"{name:<20} {(ast.get_docstring(ast.parse(script.read_text())) or '').splitlines()[0]}")
        return 0
    name, *rest = arguments
    if name not in known:
        print(f"bench: there is no measurement '{name}'. Next: make bench lists them", file=sys.stderr)
        return 2
    return subprocess.run([sys.executable, str(known[name]), *rest], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
