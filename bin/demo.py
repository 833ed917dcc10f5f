"""The main job, told in the terminal: from bare hosts to releases under load, a rollback, and an incident diagnosed.

Everything happens in the lab on this machine. What was measured is in build/demo.json, also when an act failed.
"""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "molecule" / "lab"))

from labkit.settings import Lab

from bin.story import acts
from bin.story.procedures import Procedures
from bin.story.telling import FIGURES, Story
from plugins.module_utils.model.errors import OpsError

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "build" / "demo.json"
FAILED, BUSY, INTERRUPTED = 1, 2, 130


def play(stage: acts.Stage) -> None:
    """The acts in their order."""
    acts.bring_lab_up(stage)
    acts.provision(stage)
    acts.converge(stage)
    acts.release_to_staging(stage)
    with acts.visitors(stage):
        acts.release_to_production(stage)
        acts.refuse_broken(stage)
        acts.roll_back(stage)
    acts.lose_database(stage)
    acts.see_all_well(stage)


def main(arguments: Sequence[str] | None = None) -> int:
    """Tell the story; exit code 0 when every act went as it should, 1 when one failed, 130 when it was interrupted."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with _alone():
            return _tell(options)
    except BlockingIOError:
        print("demo: another demo is running in this checkout. Next: wait for it to end", file=sys.stderr)
        return BUSY


def _tell(options: argparse.Namespace) -> int:
    story = Story(RECORD, acts.ACTS)
    reports = ROOT / "build" / "reports" / time.strftime("demo-%Y%m%dT%H%M%S")
    stage = acts.Stage(story, Procedures(reports), Lab(), options.rate, options.keep)
    try:
        play(stage)
    except OpsError as error:
        return _failed(story, error)
    except KeyboardInterrupt:
        story.end("interrupted", story.now)
        story.say(f"\ndemo: interrupted in {story.now}; the lab goes on, `make demo` begins anew", "yellow")
        return INTERRUPTED
    story.end("told")
    story.say("\n" + "  ".join(f"{name} {story.figure(name)}" for name in FIGURES), "bold")
    story.say(f"demo: told in {story.figure('total_s'):.0f} s; the figures are in build/demo.json, the lab goes on")
    return 0


def _failed(story: Story, error: OpsError) -> int:
    story.end("failed", f"{story.now}: {error}")
    story.say(f"\ndemo: {story.now}: {error}", "bold red")
    story.say(
        "      What was measured so far is in build/demo.json; the lab is left as it is. `make demo` begins anew."
    )
    return FAILED


@contextmanager
def _alone() -> Iterator[None]:
    """One story at a time: a second one would take the hosts away from under the first. Raises BlockingIOError."""
    path = ROOT / "build" / ".demo.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="go on with the lab as it is, not from bare hosts")
    parser.add_argument("--rate", type=float, default=60, help="requests per second on production (60)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
