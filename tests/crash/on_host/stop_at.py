"""Runs on a host of the lab: has whoever changes a stack stand still at an event.

Arguments: stack, step, event of the step as the stack's journal tells it; "engine" for the step is the engine's own
events of the stack's containers. Prints "ready" when it watches, then "hit" with the process; then reads one word:
"kill" ends the process, anything else lets it go on.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LIMIT_S = 90
ENGINE = "engine"


def holder(stack: str) -> int:
    with suppress(OSError):
        found = re.search(r"pid (\d+)", Path(f"/run/seisei/{stack}.lock").read_text())
        if found:
            return int(found[1])
    return 0


def main() -> None:
    stack, step, event = sys.argv[1:]
    told = of_the_engine(stack) if step == ENGINE else of_the_journal(stack)
    if (step, event) not in told:
        sys.exit(f"{step} {event} did not come within {LIMIT_S} s")
    stand_still(holder(stack))


def of_the_journal(stack: str) -> Iterator[tuple[str, str]]:
    journal = Path(f"/var/lib/seisei/stacks/{stack}/journal.jsonl")
    with journal.open() as lines:
        lines.seek(0, os.SEEK_END)
        print("ready", flush=True)
        deadline = time.monotonic() + LIMIT_S
        line = ""
        while time.monotonic() < deadline:
            line += lines.readline()
            if not line.endswith("\n"):
                time.sleep(0.0005)
                continue
            entry, line = json.loads(line), ""
            yield entry.get("step", ""), entry.get("event", "")


def of_the_engine(stack: str) -> Iterator[tuple[str, str]]:
    words = ["docker", "events", "--format", "{{.Action}}", "--filter", f"label=ops.seisei.stack={stack}"]
    limited = ["timeout", str(LIMIT_S), *words]
    with subprocess.Popen(limited, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as events:
        print("ready", flush=True)
        assert events.stdout
        try:
            for line in events.stdout:
                yield ENGINE, line.strip()
        finally:
            events.terminate()


def stand_still(process: int) -> None:
    with suppress(ProcessLookupError):
        if process:
            os.kill(process, signal.SIGSTOP)
    print(f"hit {process}", flush=True)
    word = sys.stdin.readline().strip()
    with suppress(ProcessLookupError):
        if process:
            os.kill(process, signal.SIGKILL if word == "kill" else signal.SIGCONT)
    print("done", flush=True)


if __name__ == "__main__":
    main()
