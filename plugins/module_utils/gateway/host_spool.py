"""What a host has to say to the ledger and could not yet, and the newest entry of the ledger that it knows.

A statement waits in a file of its own until a controller says that it is in the ledger. The head only ever moves
forward, so that a ledger whose newest entries were cut off is behind what the host knows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..model.errors import OpsError
from ..model.ledger import NO_HEAD, Head, head_from
from ..model.statement import Signed, signed_from
from .host_state import ROOT, write_file, writing

_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Waiting:
    """Statements that wait, oldest first, and a sentence for each file that is none."""

    statements: tuple[Signed, ...]
    faults: tuple[str, ...]


class HostSpool:
    """The spool of one host; ``root`` is a parameter so that tests use their own."""

    def __init__(self, root: Path = ROOT) -> None:
        self._folder = root / "spool"
        self._head = root / "ledger_head.json"

    def add(self, signed: Signed) -> None:
        """Keep a statement until it is in the ledger.

        Raises OpsError when the disk refuses, or another one with its id waits: that one is not replaced.
        """
        path, text = self._file(signed.statement.id), json.dumps(signed.as_dict(), ensure_ascii=False)
        with writing(path):
            there = path.read_text(encoding="utf-8", errors="replace") if path.exists() else text
        if there != text:
            raise OpsError(
                "another statement with this id waits for the ledger",
                where=str(path),
                do="have it signed anew: a statement's id is its own",
            )
        write_file(path, text)

    def waiting(self) -> Waiting:
        """What waits. A file that cannot be read stays where it is: it is evidence."""
        found: list[Signed] = []
        faults: list[str] = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                signed = signed_from(json.loads(path.read_text(encoding="utf-8")))
                if signed.statement.id != path.stem:
                    raise OpsError("its name is not the id of its statement")
                found.append(signed)
            except FileNotFoundError:  # acknowledged meanwhile
                continue
            except (OpsError, OSError, ValueError, AttributeError) as error:
                why = error.what if isinstance(error, OpsError) else error
                faults.append(f"{path} is no statement that could be told to the ledger: {why}")
        in_order = sorted(found, key=lambda one: (one.statement.at, one.statement.id))
        return Waiting(tuple(in_order), tuple(faults))

    def head(self) -> Head:
        """The newest entry that this host knows. Raises OpsError when the file says something else."""
        try:
            return head_from(json.loads(self._head.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return NO_HEAD
        except (ValueError, AttributeError, OSError) as error:
            raise OpsError(
                f"the ledger's head cannot be read: {error}",
                where=str(self._head),
                do="run verify_ledger.yml; when it finds the ledger sound, take this file away",
            ) from error

    def acknowledge(self, ids: Iterable[str], head: Head) -> Head:
        """Drop what is in the ledger now, and keep its head if it is newer. Returns the head that is known then.

        The head first: after a crash in between a statement is told twice, which the ledger passes over.
        """
        files = [self._file(one) for one in ids]
        known = self.head()
        if head.number > known.number:
            write_file(self._head, json.dumps(head.as_dict()))
            known = head
        with writing(self._folder):
            for path in files:
                path.unlink(missing_ok=True)
        return known

    def _file(self, statement: str) -> Path:
        if not _ID.fullmatch(statement):
            raise OpsError(f"'{statement}' cannot be the id of a statement", where=str(self._folder))
        return self._folder / f"{statement}.json"


def with_head(text: str, root: Path = ROOT) -> str:
    """What is announced, with the newest entry of the ledger that this host knows. Never raises.

    Whoever got the message keeps the head, and verify_ledger.yml takes it for a witness that nobody can change.
    """
    try:
        head = HostSpool(root).head()
    except OpsError:
        return f"{text} (the ledger's head cannot be read here)"
    return f"{text} (ledger head {head})" if head.number else f"{text} (no head of the ledger is known here)"
