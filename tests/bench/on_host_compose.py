"""Runs on a host: bring Compose projects up side by side, or take them down; prints the seconds it took."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    """``up`` or ``down``, and the folder of the projects."""
    verb, root = sys.argv[1:]
    words = {"up": ["up", "--detach"], "down": ["down", "--volumes", "--timeout", "0"]}[verb]
    files = sorted(Path(root).glob("*/compose.yml"))
    began = time.monotonic()
    running = [
        subprocess.Popen(["docker", "compose", "--file", str(file), "--progress", "quiet", *words]) for file in files
    ]
    codes = [process.wait() for process in running]
    print(time.monotonic() - began)
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
