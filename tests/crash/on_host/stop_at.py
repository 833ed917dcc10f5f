"""Runs on a host of the lab: has whoever changes a stack stand still as soon as its journal says a step's event.

Arguments: stack, step, event. Prints "ready" when it watches, then "hit" with the process and the time; then reads one
word: "kill" ends the process, anything else lets it go on.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

LIMIT_S = 90


def holder(stack: str) -> int:
    with suppress(OSError):
        found = re.search(r"pid (\d+)", Path(f"/run/seisei/{stack}.lock").read_text())
        if found:
            return int(found[1])
    return 0


def main() -> None:
    stack, step, event = sys.argv[1:]
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
            if (entry.get("step"), entry.get("event")) == (step, event):
                stand_still(holder(stack))
                return
    sys.exit(f"{step} {event} did not come within {LIMIT_S} s")


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
