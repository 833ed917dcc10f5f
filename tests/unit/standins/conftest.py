"""The stand-in program is a package of its own, imported as its images import it."""

from __future__ import annotations

import sys
from pathlib import Path

STANDINS = Path(__file__).resolve().parents[3] / "molecule" / "lab" / "standins"

if str(STANDINS) not in sys.path:
    sys.path.insert(0, str(STANDINS))
