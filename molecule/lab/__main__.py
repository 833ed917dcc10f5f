"""Entry point of ``python molecule/lab up|down|status|check``."""

from __future__ import annotations

import sys
from pathlib import Path

# The repository's own packages (plugins.module_utils…) are imported from its root.
sys.path.insert(1, str(Path(__file__).resolve().parents[2]))

from labkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
