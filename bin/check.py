"""Run the linters, the types and the contracts side by side; print each one's result, and the words of those that fail.

Usage: check.py [name…] runs only the named ones.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".venv" / "bin"

# The slowest first, so that two workers end together.
CHECKS: dict[str, list[str]] = {
    "contracts": ["pytest", "-q", "--no-header", "-n", "2", "tests/contract"],
    "ansible-lint": ["ansible-lint", "-q"],
    "types": ["mypy", "plugins", "molecule", "bin", "tests"],
    "yaml": ["yamllint", "--strict", "."],
    "ruff": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "--output-format", "concise", "."],
}


@dataclass(frozen=True)
class Verdict:
    """How one check ended; ``seconds`` of wall clock."""

    name: str
    ok: bool
    seconds: float
    output: str


def run_check(name: str) -> Verdict:
    """Run one check and keep what it prints."""
    began = time.monotonic()
    command = [str(TOOLS / CHECKS[name][0]), *CHECKS[name][1:]]
    path = f"{TOOLS}{os.pathsep}{os.environ.get('PATH', '')}"
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PATH": path, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Verdict(name, done.returncode == 0, time.monotonic() - began, done.stdout)


def main(names: list[str]) -> int:
    """Run the checks; the exit code is 1 when one fails, 2 when a name is unknown."""
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        print(f"check: there is no check {', '.join(unknown)}. Next: take one of {', '.join(CHECKS)}", file=sys.stderr)
        return 2
    wanted = [name for name in CHECKS if name in (names or CHECKS)]
    began, failed = time.monotonic(), []
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        for future in as_completed([pool.submit(run_check, name) for name in wanted]):
            verdict = future.result()
            print(f"{'ok    ' if verdict.ok else 'FAILED'} {verdict.seconds:6.1f} s  {verdict.name}", flush=True)
            failed += [] if verdict.ok else [verdict]
    for verdict in failed:
        print(f"\n---- {verdict.name}: {' '.join(CHECKS[verdict.name])}\n{verdict.output.rstrip()}")
    seconds = time.monotonic() - began
    print(f"\ncheck: {len(wanted) - len(failed)} of {len(wanted)} passed in {seconds:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
