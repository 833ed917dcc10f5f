"""Runs on a host of the lab: kills the run that holds a stack's lock at the next event of one of its containers.

Arguments: stack, event of the engine. Prints "ready" when it watches, then the number of the process that it killed.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

LIMIT_S = "90"


def main() -> None:
    stack, event = sys.argv[1:]
    words = ["docker", "events", "--format", "{{.Action}}", "--filter", f"label=ops.seisei.stack={stack}"]
    with subprocess.Popen(["timeout", LIMIT_S, *words], stdout=subprocess.PIPE, text=True) as events:
        print("ready", flush=True)
        assert events.stdout
        for line in events.stdout:
            if line.strip() == event:
                holder = re.search(r"pid (\d+)", Path(f"/run/seisei/{stack}.lock").read_text())
                if holder is None:
                    sys.exit("nobody holds the lock")
                os.kill(int(holder[1]), signal.SIGKILL)
                print(holder[1])
                events.terminate()
                return
    sys.exit(f"{event} did not come within {LIMIT_S} s")


if __name__ == "__main__":
    main()
