"""Write docs/compose-differences.md from the differences that tests/differential declares."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.differential.declared import PAGE, page

if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
