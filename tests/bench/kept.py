"""How a measurement keeps its figures: with the commit they are of, and when they were taken."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def commit() -> str:
    """The commit that is measured; ``-dirty`` where the tree is not as it was committed."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()


def keep(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures as JSON, with ``commit`` and ``at`` (UTC)."""
    told = {**figures, "commit": commit(), "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
