"""Runs on a host of the lab: kills the run that holds a stack's lock as soon as its journal says a step's event.

Arguments: stack, step, event. Prints "ready" when it watches, then the number of the process that it killed.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from pathlib import Path

LIMIT_S = 90


def main() -> None:
    stack, step, event = sys.argv[1:]
    journal = Path(f"/var/lib/seisei/stacks/{stack}/journal.jsonl")
    with journal.open() as lines:
        lines.seek(0, os.SEEK_END)
        print("ready", flush=True)
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            line = lines.readline()
            if not line.endswith("\n"):
                time.sleep(0.0005)
                continue
            entry = json.loads(line)
            if (entry["step"], entry["event"]) == (step, event):
                holder = re.search(r"pid (\d+)", Path(f"/run/seisei/{stack}.lock").read_text())
                if holder is None:
                    sys.exit("nobody holds the lock")
                os.kill(int(holder[1]), signal.SIGKILL)
                print(holder[1])
                return
    sys.exit(f"{step} {event} did not come within {LIMIT_S} s")


if __name__ == "__main__":
    main()
