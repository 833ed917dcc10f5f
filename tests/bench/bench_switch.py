"""Releases switched under a steady load through TLS, ours and two peers': what failed, and what was slow."""

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
from tests.bench.load import Load, most
from tests.bench.one_host import Failed, Journal, OneHost, alone, quiet, site
from tests.bench.peers import WAYS, Peer
from tests.bench.switch_figures import Panel, aims, failures, own_figures, picture, switches_of, table
from tests.lab.procedure_parts import BETTER, GOOD, ROOT

RESULT = ROOT / "build" / "bench" / "switch.json"
REQUESTS, SWITCHES, PEER_SWITCHES = 200_000, 20, 3
SHARE = 1 / 3
STEADY_S = 3.0
# Visitors are served first by this machine, since in life they are not on it; the peers' visitors likewise.
FIRST = -10


class Bench:
    """The measurement: ``figures`` and ``panels`` grow."""

    def __init__(self, estate: OneHost) -> None:
        self.estate = estate
        self.figures: dict[str, Any] = {}
        self.panels: list[Panel] = []

    def rate(self) -> float:
        """A third of what the edge answers at most, requests a second."""
        self.figures["edge_max_rate"] = most(site(), FIRST)
        self.figures["rate"] = round(self.figures["edge_max_rate"] * SHARE, 1)
        return float(self.figures["rate"])

    def ours(self, rate: float, requests: int, switches: int) -> None:
        """Deploys and rollbacks by turns, evenly over the load."""
        typed: list[tuple[float, str, str]] = []
        lasts = requests / rate
        with Load(site(), rate, FIRST) as load:
            journal = Journal(time.time() - load.seconds())
            for number in range(switches):
                _wait_until(load, STEADY_S + number * (lasts - STEADY_S) / switches)
                action, release = ("deploy", BETTER) if number % 2 == 0 else ("roll_back", GOOD)
                typed.append((load.seconds(), action, release))
                played = self.estate.deploy(release) if action == "deploy" else self.estate.roll_back()
                if played.code:
                    raise Failed(played.text[-3000:])
                self._say(load, f"{number + 1:>2}/{switches} {action:<9} {played.seconds:4.1f} s", lasts)
            _wait_until(load, lasts)
        entries = journal.entries()
        switched = switches_of(entries, typed)
        self.figures |= {**own_figures(load.samples, switched, entries), "skipped": load.skipped}
        self.panels.append(Panel("seisei-ops", load.samples, [one.flipped for one in switched]))

    def peer(self, peer: Peer, way: str, rate: float, switches: int) -> None:
        """One peer's way under the same load."""
        typed = []
        with Load(peer.target(), rate, FIRST) as load:
            for number in range(switches):
                _wait_until(load, load.seconds() + STEADY_S)
                typed.append(load.seconds())
                seconds = peer.switch(way, (BETTER, GOOD)[number % 2])
                self._say(load, f"{number + 1:>2}/{switches} {way:<9} {seconds:4.1f} s", 0)
            _wait_until(load, load.seconds() + STEADY_S)
        found = load.figures()
        self.figures |= {
            f"peer_{way}_requests": found.requests,
            f"peer_{way}_failed": found.failed,
            f"peer_{way}_switches": switches,
            f"peer_{way}_longest_gap_s": found.longest_gap_s,
            f"peer_{way}_problems": found.problems,
            f"peer_{way}_failures": failures(load.samples)[:20],
        }
        title = {"recreate": "docker compose up -d", "labels": "Traefik's docker provider, start first"}[way]
        self.panels.append(Panel(title, load.samples, typed))

    @staticmethod
    def _say(load: Load, what: str, lasts: float) -> None:
        samples = list(load.samples)
        failed = sum(bool(one.problem) for one in samples)
        left = f", about {max(0.0, lasts - load.seconds()):.0f} s left" if lasts else ""
        print(f"  {what}  {len(samples):>7,} requests, {failed:,} failed{left}", flush=True)


def _wait_until(load: Load, second: float) -> None:
    # A load is time: this is no wait for something that could be confirmed.
    time.sleep(max(0.0, second - load.seconds()))


def measure(options: argparse.Namespace) -> Bench:
    """The measurement taken. Raises Failed when a way does not work."""
    with alone(), quiet(), tempfile.TemporaryDirectory() as folder:
        bench = Bench(OneHost(Path(folder), stands_back=True))
        bench.estate.prepare(lambda said: print(f"  {said}", flush=True))
        print("  how much the edge answers at most is measured", flush=True)
        rate = options.rate or bench.rate()
        bench.figures.setdefault("edge_max_rate", 0.0)
        bench.figures["rate"] = rate
        print(f"  {rate:.0f} requests a second, a third of that: {options.requests / rate:.0f} s", flush=True)
        bench.ours(rate, options.requests, options.switches)
        bench.estate.empty()
        if options.peer_switches:
            with Peer((GOOD, BETTER)) as peer:
                for way in WAYS:
                    bench.peer(peer, way, rate, options.peer_switches)
        return bench


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write build/bench/switch.json, tell; 1 when an aim is missed, 2 when nothing was measured."""
    options = _parser().parse_args(arguments)
    gc.disable()  # a pause of the generator would look like one of the edge; what is kept has no cycles
    began = time.monotonic()
    try:
        bench = measure(options)
    except (Failed, OpsError, subprocess.TimeoutExpired) as error:
        print(f"switch: {error}", file=sys.stderr)
        return 2
    figures = {**bench.figures, "seconds": round(time.monotonic() - began)}
    figures["aims"] = aims(figures)
    keep(RESULT, figures)
    RESULT.with_suffix(".svg").write_text(picture(bench.panels), encoding="utf-8")
    print("\n".join(["", *table(figures), "", f"{RESULT.relative_to(ROOT)}, and .svg beside it"]))
    return 0 if all(aim["holds"] for aim in figures["aims"]) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=REQUESTS, help=f"requests of our own load ({REQUESTS})")
    parser.add_argument("--switches", type=int, default=SWITCHES, help=f"deploys and rollbacks ({SWITCHES})")
    parser.add_argument("--peer-switches", type=int, default=PEER_SWITCHES, help=f"of each peer ({PEER_SWITCHES})")
    parser.add_argument("--rate", type=float, default=0.0, help="requests a second (a third of what the edge can do)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
