"""Run every test there is, phase by phase, and end with one line in pytest's form.

A phase that fails does not stop the next, except that nothing can run in a lab that is not up. A phase without tests is
an error: a suite that runs nothing must not look green.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".venv" / "bin"
RESULTS = ROOT / "build" / "reports" / "tests"
COUNTED = ("passed", "failed", "errors", "skipped")


@dataclass
class Tally:
    """Tests counted the way pytest counts them."""

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    def add(self, other: Tally) -> None:
        for name in COUNTED:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    @property
    def ok(self) -> bool:
        return not self.failed and not self.errors and self.passed > 0

    def __str__(self) -> str:
        words = {"errors": "error" if self.errors == 1 else "errors"}
        counts = [(name, getattr(self, name)) for name in ("failed", "passed", "skipped", "errors")]
        return ", ".join(f"{count} {words.get(name, name)}" for name, count in counts if count) or "no tests ran"


@dataclass(frozen=True)
class Phase:
    """One stage of the run; ``needs_lab`` ones are errors when the lab did not come up."""

    name: str
    run: Callable[[], Tally]
    needs_lab: bool = False


@dataclass
class Ended:
    """A phase that is over, with its seconds of wall clock."""

    name: str
    tally: Tally
    seconds: float
    trouble: list[str] = field(default_factory=list)


def command(*words: str) -> Tally:
    """A command that counts as one test."""
    done = _call(list(words))
    return Tally(passed=1) if done == 0 else Tally(failed=1)


def pytest(name: str, *arguments: str) -> Tally:
    """A pytest run, counted from its own record."""
    record = RESULTS / f"{name}.xml"
    record.unlink(missing_ok=True)
    status = _call(["pytest", "--no-header", f"--junit-xml={record}", *arguments])
    if not record.is_file():
        return Tally(errors=1)
    tally = read_record(record)
    # pytest may end badly with every test passed: no tests collected, or an error in its own settings.
    return tally if tally.failed or tally.errors or status == 0 else Tally(tally.passed, 0, 1, tally.skipped)


def read_record(record: Path) -> Tally:
    """Count the suites of a JUnit file."""
    tally = Tally()
    for suite in ElementTree.parse(record).getroot().iter("testsuite"):  # noqa: S314 - written by our own pytest
        failed, errors, skipped = (int(suite.get(key, "0")) for key in ("failures", "errors", "skipped"))
        total = int(suite.get("tests", "0"))
        tally.add(Tally(max(total - failed - errors - skipped, 0), failed, errors, skipped))
    return tally


def scenarios() -> Tally:
    """Every molecule scenario, one after the other: they share a host."""
    tally = Tally()
    for settings in sorted((ROOT / "molecule").glob("*/molecule.yml")):
        tally.add(command("molecule", "test", "-s", settings.parent.name))
    return tally


def folders(*names: str) -> list[str]:
    """Those that are there; none at all leaves pytest without tests, which is an error of its own."""
    return [name for name in names if (ROOT / name).is_dir()] or ["tests/none"]


def phases() -> list[Phase]:
    """What there is to run, in order."""
    workers = ("-n", str(os.cpu_count() or 2), "--dist", "loadgroup")
    lab = str(ROOT / "molecule" / "lab")
    return [
        Phase("check", lambda: command("python", "bin/check.py")),
        Phase(
            "unit", lambda: pytest("unit", "-q", *workers, *folders("tests/unit", "tests/property", "tests/contract"))
        ),
        Phase("controller", lambda: pytest("controller", "-q", *workers, "tests/controller")),
        Phase("lab", lambda: command("python", lab, "up", "--role-host")),
        Phase("scenarios", scenarios, needs_lab=True),
        Phase("estate", lambda: pytest("lab", "tests/lab"), needs_lab=True),
        Phase("differential", lambda: pytest("differential", "tests/differential"), needs_lab=True),
        Phase("faults", lambda: pytest("faults", "tests/faults"), needs_lab=True),
    ]


def run_phase(phase: Phase, *, lab_is_up: bool) -> Ended:
    """Run one phase, or say why it cannot run."""
    began = time.monotonic()
    print(f"\n==== {phase.name}", flush=True)
    if phase.needs_lab and not lab_is_up:
        return Ended(phase.name, Tally(errors=1), 0.0, ["the lab is not up"])
    tally = phase.run()
    trouble = [] if tally.ok or tally.failed or tally.errors else ["it has no tests"]
    if trouble:
        tally.errors += 1
    return Ended(phase.name, tally, time.monotonic() - began, trouble)


def main(names: list[str]) -> int:
    """Run all phases, or the named ones; the exit code is 1 unless everything passed."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    wanted = [phase for phase in phases() if not names or phase.name in names]
    if not wanted:
        print(f"test: there is no phase {', '.join(names)}", file=sys.stderr)
        return 2
    began, ended, lab_is_up = time.monotonic(), [], True
    for phase in wanted:
        done = run_phase(phase, lab_is_up=lab_is_up)
        lab_is_up = lab_is_up and (phase.name != "lab" or done.tally.ok)
        ended.append(done)
    return _summarise(ended, time.monotonic() - began)


def _summarise(ended: list[Ended], seconds: float) -> int:
    total = Tally()
    print("\n==== seconds")
    for done in ended:
        total.add(done.tally)
        reasons = f": {', '.join(done.trouble)}" if done.trouble else ""
        print(f"{done.seconds:7.1f}  {done.name:<10} {done.tally}{reasons}")
    line = f" {total} in {seconds:.2f}s "
    width = min(shutil.get_terminal_size().columns, 120)
    print(line.center(width, "="), flush=True)
    return 0 if all(done.tally.ok for done in ended) else 1


def _call(words: list[str]) -> int:
    tool = TOOLS / words[0]
    path = f"{TOOLS}{os.pathsep}{os.environ.get('PATH', '')}"
    environment = {**os.environ, "PATH": path}
    return subprocess.run([str(tool), *words[1:]], cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
