"""How long a rollback, a return by itself and a deploy take, as visitors see it from outside."""

from __future__ import annotations

import argparse
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from plugins.module_utils.model.errors import OpsError
from tests.bench.kept import keep
from tests.bench.load import Load
from tests.bench.one_host import STACK, Failed, Journal, OneHost, alone, drop, quiet, site
from tests.bench.rollback_figures import aims, first_met, last_met, moment, summary, table
from tests.bench.switch_figures import failures
from tests.lab.procedure_parts import BETTER, GOOD, ROOT

RESULT = ROOT / "build" / "bench" / "rollback.json"
ROUNDS, RATE = 5, 100.0
FIRST = -10
_SOUND = "path: /health, json: {status: pass}"
# The edge takes the header Server away: this test passes at the container and cannot pass through the edge.
_FAILS_AT_THE_EDGE = f"{_SOUND}, headers: {{Server: standin}}"


class Bench:
    """The measurement: ``rows`` grow by name."""

    def __init__(self, estate: OneHost, load: Load) -> None:
        self.estate = estate
        self.load = load
        self.origin = time.time() - load.seconds()
        self.rows: dict[str, list[float]] = {}

    def deploy(self) -> None:
        """A release whose image the host has not."""
        drop(BETTER)
        typed = self.load.seconds()
        journal = Journal(self.origin)
        played = self.estate.deploy(BETTER)
        if played.code:
            raise Failed(played.text[-3000:])
        told = moment(journal.entries(), "confirm through the edge", "done")
        began = first_met(self.load.samples, BETTER, typed)
        all_there = max(told, last_met(self.load.samples, GOOD, began))
        self.note("deploy_s", all_there - typed)
        self.note("deploy_command_s", played.seconds)

    def roll_back(self) -> None:
        """Back to the good release, as one types it."""
        journal = Journal(self.origin)
        played = self.estate.roll_back()
        if played.code:
            raise Failed(played.text[-3000:])
        decided = moment(journal.entries(), "switch the edge", "begin")
        self.note("manual_s", played.seconds)
        self.note("flip_ms", (last_met(self.load.samples, BETTER, decided) - decided) * 1000)
        self.note("flip_told_ms", float(played.receipt().get("flip_ms", 0.0)))

    def return_by_itself(self) -> None:
        """A release that fails only through the edge is taken back by the host."""
        path = f"inventories/stacks/{STACK}.yml"
        self.estate.replace(path, _SOUND, _FAILS_AT_THE_EDGE)
        journal = Journal(self.origin)
        try:
            played = self.estate.deploy(BETTER)
        finally:
            self.estate.replace(path, _FAILS_AT_THE_EDGE, _SOUND)
        if not played.code:
            raise Failed(f"a release that fails through the edge was kept:\n{played.text[-2000:]}")
        entries = journal.entries()
        if not any(one.get("event") == "failed" for one in entries):
            raise Failed(f"it was refused before it could fail:\n{played.text[-2000:]}")
        # The tests run side by side: the first that failed did so somewhere in this step, and not before it.
        began = moment(entries, "smoke through the edge", "begin")
        self.note("auto_s", last_met(self.load.samples, BETTER, began) - began)
        self.note("auto_told_s", moment(entries, "return the edge", "done") - began)

    def note(self, name: str, value: float) -> None:
        """Add a sample."""
        self.rows.setdefault(name, []).append(round(value, 3))
        print(f"  {name:<17} {value:9.3f}", flush=True)


def measure(rounds: int) -> tuple[Bench, Load]:
    """The measurement taken. Raises Failed when a way does not work."""
    with alone(), quiet(), tempfile.TemporaryDirectory() as folder:
        estate = OneHost(Path(folder))
        estate.prepare(lambda said: print(f"  {said}", flush=True))
        with Load(site(), RATE, FIRST) as load:
            bench = Bench(estate, load)
            for number in range(rounds):
                print(f"  round {number + 1} of {rounds}", flush=True)
                bench.deploy()
                bench.roll_back()
                bench.return_by_itself()
        estate.empty()
        return bench, load


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write build/bench/rollback.json, tell; 1 when an aim is missed, 2 when nothing was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"samples of each ({ROUNDS})")
    options = parser.parse_args(arguments)
    gc.disable()  # a pause of the generator would look like one of the edge; what is kept has no cycles
    try:
        bench, load = measure(options.rounds)
    except (Failed, OpsError, LookupError, subprocess.TimeoutExpired) as error:
        print(f"rollback: {error}", file=sys.stderr)
        return 2
    found = load.figures()
    figures: dict[str, Any] = {**summary(bench.rows), "requests": found.requests, "failed": found.failed}
    figures |= {"rate": RATE, "skipped": load.skipped, "failures": failures(load.samples), "samples": bench.rows}
    figures["aims"] = aims(figures)
    keep(RESULT, figures)
    print("\n".join(["", *table(figures, bench.rows), "", str(RESULT.relative_to(ROOT))]))
    return 0 if all(aim["holds"] for aim in figures["aims"]) else 1


if __name__ == "__main__":
    sys.exit(main())
