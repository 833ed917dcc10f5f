"""Strike a deploy and a rollback at every step with every fault, in the lab, and hold what must be true afterwards.

The steps come from the journal of a deploy and a rollback without a fault. What was tried at this commit is not tried
again; build/crash.json has a row for each case. The exit code is 0 when the whole matrix passed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(1, str(Path(__file__).resolve().parents[1] / "molecule" / "lab"))

from plugins.module_utils.model.errors import OpsError
from tests.bench.kept import commit
from tests.bench.one_host import Failed, alone
from tests.crash.faults import FAULTS
from tests.crash.matrix import Cell, Point, cells, chosen, sample, summary, table
from tests.crash.trial import Estate, tidy, tried

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "build" / "crash.json"


class Book:
    """The rows of the matrix: those of this commit that are there already, and those that are added."""

    def __init__(self, commit: str, known: Mapping[str, Any], *, keep: bool) -> None:
        self.commit = commit
        rows = known.get("rows", [])
        self.rows = {_key(row): row for row in rows if keep or row.get("commit") == commit}
        self.points: dict[str, list[Point]] = {
            action: [(step, event) for step, event in points] for action, points in known.get("points", {}).items()
        }
        if known.get("commit") != commit:
            self.points = {}

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep a row, on disk as well."""
        self.rows[_key(row)] = {**row, "commit": self.commit}
        self.write()

    def write(self) -> None:
        """What is known so far."""
        every = cells(self.points)
        rows = [self.rows[cell.key] for cell in every if cell.key in self.rows]
        told = {**summary(rows, len(every)), "commit": self.commit, "points": self.points, "rows": rows}
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        draft = RESULT.with_suffix(".part")
        draft.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        draft.rename(RESULT)


def _key(row: Mapping[str, Any]) -> str:
    return Cell(*(str(row[name]) for name in Cell.__dataclass_fields__)).key


def run(options: argparse.Namespace) -> Book:
    """Try what is asked for. Raises Failed when the host does not come to rest by any means."""
    known = {} if options.again or not RESULT.exists() else json.loads(RESULT.read_text(encoding="utf-8"))
    book = Book(commit(), known, keep=options.keep)
    with alone(), tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        estate = Estate(Path(folder))
        tidy()
        estate.prepare(_say)
        if not book.points:
            _say("the steps are read from a deploy and a rollback without a fault")
            book.points = estate.points()
        every = cells(book.points)
        wanted = chosen(every, options.only)
        wanted = sample(wanted, options.sample) if options.sample else wanted
        left = [cell for cell in wanted if cell.key not in book.rows or (options.failed and _has_failed(book, cell))]
        _say(f"{len(every)} cases in all, {len(wanted)} asked for, {len(wanted) - len(left)} known already")
        _try_all(estate, book, left)
        book.write()
        estate.empty()
    return book


def _try_all(estate: Estate, book: Book, left: Sequence[Cell]) -> None:
    began, fault = time.monotonic(), ""
    try:
        for number, cell in enumerate(left, 1):
            if cell.fault != fault:
                if fault:
                    FAULTS[fault].after()
                estate.come_to_rest()
                fault = cell.fault
                FAULTS[fault].before()
            row = tried(estate, cell)
            book.add(row)
            each = (time.monotonic() - began) / number
            ended = "ok    " if not row["wrong"] else "FAILED"
            took = "     -" if row["recovery_s"] is None else f"{row['recovery_s']:5.1f}s"
            _say(
                f"{number:>3}/{len(left)} {ended} {took}  {cell.key}: {row['live']} serves; {row['failed']} of "
                f"{row['requests']} requests failed  (about {each * (len(left) - number) / 60:.0f} min left)"
            )
            for words in row["wrong"]:
                _say(f"            {words}")
    finally:
        if fault:
            FAULTS[fault].heal()
            FAULTS[fault].after()


def _has_failed(book: Book, cell: Cell) -> bool:
    return bool(book.rows[cell.key]["wrong"])


def _say(text: str) -> None:
    print(f"  {text}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the whole matrix passed, 1 when not, 2 when it could not be tried, 130 when interrupted."""
    options = _parser().parse_args(arguments)
    try:
        book = run(options)
    except (Failed, OpsError, ValueError, subprocess.SubprocessError) as error:
        print(f"crash: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ncrash: interrupted; `make crash` goes on from here", file=sys.stderr)
        return 130
    every = cells(book.points)
    rows = [book.rows[cell.key] for cell in every if cell.key in book.rows]
    told = summary(rows, len(every))
    print("\n".join(["", *table(rows, told), "", str(RESULT.relative_to(ROOT))]))
    return 0 if told["passed"] == told["total"] else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME=VALUE",
        help="fault=engine, action=deploy, step=switch, event=done: a part of the name will do; may be repeated",
    )  # fmt: skip
    parser.add_argument("--sample", type=int, default=0, help="so many cases of those, the same every time")
    parser.add_argument("--again", action="store_true", help="forget what was tried")
    parser.add_argument("--failed", action="store_true", help="try again what failed")
    parser.add_argument("--keep", action="store_true", help="keep what was tried at another commit")
    return parser


if __name__ == "__main__":
    sys.exit(main())
