"""Convergence of a host against a ping, Compose on the host, and the stock way, side by side on the throw-away host."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.converge_estate import ADDRESS, HOST, PEER_IMAGE, PROJECTS, STACKS, Estate, containers
from tests.bench.converge_figures import aims, medians, peaks, phases, picture, table
from tests.bench.kept import keep
from tests.lab.procedure_parts import ROOT, ssh_words

HERE = Path(__file__).resolve().parent
RESULT = ROOT / "build" / "bench" / "converge.json"
ROUNDS = 5
PEAK = "/run/bench-python"


class Failed(Exception):
    """A command of the measurement failed: nothing it says can be used."""


def run(words: Sequence[str], *, folder: Path = ROOT, text: str = "", settings: Mapping[str, str] | None = None) -> str:
    """What a command prints. Raises Failed with what it said."""
    environment = {**os.environ, **(settings or {})}
    done = subprocess.run(
        words, cwd=folder, env=environment, input=text, capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        raise Failed(f"{' '.join(words)[-200:]}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def unchanged(text: str) -> None:
    """Raises Failed when a run, which this is the text of, changed something or left containers out."""
    running = len(on_host("docker ps --quiet").split())
    if "changed 0" not in text or running != containers():
        raise Failed(f"something was to be changed, or {running} containers run, not {containers()}:\n{text}")


def tool(name: str) -> str:
    """A program of the virtual environment that this runs in."""
    return str(Path(sys.executable).with_name(name))


def on_host(command: str, text: str = "") -> str:
    """Run a command on the throw-away host."""
    return run([*ssh_words()[:-1], f"root@{ADDRESS}", command], text=text)


class Bench:
    """The measurement: ``samples`` grow by name, ``profiles`` by phase (ms)."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        self.samples: dict[str, list[float]] = {}
        self.profiles: dict[str, list[float]] = {}

    # -- the ways --------------------------------------------------------------------------------------------------

    def converge(self) -> str:
        """Ours, as typed."""
        return self._play("playbooks/converge.yml")

    def ping(self) -> str:
        """The floor."""
        return run([tool("ansible"), HOST, "-m", "ansible.builtin.ping"], folder=self.estate.root)

    def stock(self) -> str:
        """The stock way, with our settings."""
        return self._play("stock.yml", *self._stock_words())

    def stock_plain(self) -> str:
        """The stock way, with the settings Ansible comes with."""
        settings = {"ANSIBLE_CONFIG": str(self.estate.root / "plain.cfg")}
        words = ["-i", "inventories/lab", *self._stock_words()]
        return self._play("stock.yml", *words, settings=settings)

    def compose(self, verb: str = "up") -> float:
        """Compose on the host, all projects side by side; its seconds, without those of reaching the host."""
        script = (HERE / "on_host_compose.py").read_text(encoding="utf-8")
        return float(on_host(f"python3 - {verb} {PROJECTS}", script))

    def profile(self) -> None:
        """Ours with nothing to change, phase by phase."""
        began = time.time()
        text = self._play("playbooks/converge.yml", settings={"ANSIBLE_DEBUG": "1"})
        for phase, milliseconds in phases(text, began, time.time()).items():
            self.profiles.setdefault(phase, []).append(milliseconds)

    def _play(self, playbook: str, *words: str, settings: Mapping[str, str] | None = None) -> str:
        return run([tool("ansible-playbook"), playbook, *words], folder=self.estate.root, settings=settings)

    def _stock_words(self) -> list[str]:
        variables = {"names": STACKS, "projects": PROJECTS, "secret": "worth-nothing"}
        return ["-e", json.dumps(variables)]

    # -- measuring -------------------------------------------------------------------------------------------------

    def timed(self, name: str, way: Callable[[], object]) -> None:
        """Add the seconds of a whole command."""
        began = time.monotonic()
        way()
        self.note(name, time.monotonic() - began)

    def note(self, name: str, value: float) -> None:
        """Add a sample."""
        self.samples.setdefault(name, []).append(round(value, 3))
        print(f"  {name:<19} {value:8.3f}", flush=True)

    def prepare(self) -> None:
        """From a bare host to one on which every way has run once."""
        self._play("playbooks/provision.yml")
        self._play("empty_host.yml")
        on_host("apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y docker-compose")
        on_host(f"install -m 0755 /dev/stdin {PEAK}", (HERE / "on_host_peak.py").read_text(encoding="utf-8"))
        self.converge()
        image = on_host("docker container inspect --format '{{.Image}}' unit1-store").strip()
        on_host(f"docker image tag {image} {PEER_IMAGE}")
        self.clear()
        self.stock()

    def round(self) -> None:
        """Each way once, first with nothing running, then with nothing to change.

        They take turns, so that whatever else the machine does meets them alike, and never run side by side: the
        throw-away host has not the memory for both, and nobody would have both.
        """
        self.clear()
        self.note("compose_first_s", self.compose())
        unchanged(self.stock())
        self.note("compose_noop_s", self.compose())
        self.timed("stock_noop_s", self.stock)
        self.clear()
        self.timed("first_s", self.converge)
        unchanged(self.converge())
        self.timed("ping_s", self.ping)
        self.timed("noop_s", self.converge)
        self.profile()

    def weigh(self) -> None:
        """The memory of our module: once with nothing to change, once with everything to do."""
        self._weighed()
        self.clear()
        self._weighed()
        for line in on_host("cat /run/bench-peak").split():
            self.note("module_rss_mb", int(line) / 1024)

    def _weighed(self) -> None:
        with self.estate.interpreter(PEAK):
            self.converge()

    def clear(self) -> None:
        """Take away what runs, ours and the peers', with volumes and networks. Images stay."""
        self.compose("down")
        self._play("empty_host.yml")

    def leave(self) -> None:
        """The host as a scenario leaves it."""
        self.clear()
        on_host(f"docker image rm {PEER_IMAGE}; rm -rf {PROJECTS} {PEAK} /run/bench-peak")
        on_host("DEBIAN_FRONTEND=noninteractive apt-get -qq purge -y docker-compose >/dev/null")


def measure(rounds: int) -> tuple[Bench, dict[str, str]]:
    """The measurement taken, and the versions of what was compared; the host is left clean whatever happens.

    Raises Failed when a way does not work.
    """
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Estate(Path(folder)))
        bench.prepare()
        try:
            for _ in range(rounds):
                bench.round()
            bench.weigh()
            bench.clear()
            bench.stock()
            bench.timed("stock_plain_noop_s", bench.stock_plain)
            return bench, versions()
        finally:
            bench.leave()


def versions() -> dict[str, str]:
    """What was compared."""
    told = on_host("docker version --format '{{.Server.Version}}'; docker compose version --short; python3 --version")
    engine, compose, python = told.strip().splitlines()
    packages = {name: importlib.metadata.version(name) for name in ("ansible-core", "ansible")}
    return {**packages, "docker": engine, "compose": compose, "host": python, "controller": sys.version.split()[0]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write build/bench/converge.json, tell; 1 when an aim is missed, 2 when nothing was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"samples of each ({ROUNDS})")
    options = parser.parse_args(arguments)
    try:
        run([sys.executable, "molecule/lab", "up", "--role-host"])
        bench, compared = measure(options.rounds)
    except (Failed, subprocess.TimeoutExpired) as error:
        print(f"converge: {error}", file=sys.stderr)
        return 2
    samples, profile = bench.samples, medians(bench.profiles)
    figures = medians(samples) | peaks({"module_rss_mb": samples["module_rss_mb"]})
    held = aims(figures)
    told = {
        **figures,
        "stacks": len(STACKS),
        "containers": containers(),
        "versions": compared,
        "aims": [aim.as_dict() for aim in held],
        "samples": samples,
        "phases_ms": profile,
    }
    keep(RESULT, told)
    RESULT.with_suffix(".svg").write_text(picture(figures), encoding="utf-8")
    print("\n".join(["", *table(figures, samples, profile), "", f"{RESULT.relative_to(ROOT)}, and .svg beside it"]))
    return 0 if all(aim.holds for aim in held) else 1


if __name__ == "__main__":
    sys.exit(main())
