"""What is asked of a unit and what it tells while it runs: files in memory, for this boot, for root alone.

The request holds secrets: it is taken away as it is read. What is told is a line of JSON for each event, and the last
one is the end; a full disk does not keep anybody from hearing it.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..model.errors import OpsError
from ..model.masking import Veil, veil_for
from .host_state import RUN

ENDED = "ended"
_ID = re.compile(r"[0-9a-f]{12}")
_STACK = re.compile(r"[a-z0-9][a-z0-9-]*")
_WAITS_S = 300.0
_MOST = 10  # tellings of a stack


class Told:
    """The telling of one transaction, and the request that led to it. ``run`` is a parameter for tests."""

    def __init__(self, stack: str, transaction: str, run: Path = RUN) -> None:
        if not _STACK.fullmatch(stack) or not _ID.fullmatch(transaction):
            raise OpsError(
                f"'{transaction}' of '{stack}' is no transaction", do="attach.yml finds the newest by itself"
            )
        self.transaction = transaction
        self._request = run / "requests" / f"{transaction}.json"
        self._path = run / "told" / stack / f"{transaction}.jsonl"
        self._veil = Veil()

    def ask(self, given: Mapping[str, Any]) -> None:
        """Put a request down."""
        for folder in (self._request.parent, self._path.parent.parent, self._path.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600))
            descriptor = os.open(self._request, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
                json.dump(given, handle)
        except OSError as error:
            raise OpsError(f"the request cannot be put down: {error}", where=str(self._request)) from error
        self._make_room()

    def is_known(self) -> bool:
        """Whether it was ever asked for, since this host was started."""
        return self._path.exists()

    def is_asked(self) -> bool:
        """Whether a request waits to be carried out."""
        return self._request.exists()

    def asked(self) -> dict[str, Any]:
        """The request, which is gone afterwards."""
        try:
            text = self._request.read_text(encoding="utf-8")
            self._request.unlink()
            found = dict(json.loads(text))
            self._veil = veil_for(found)
            return found
        except (OSError, ValueError) as error:
            raise OpsError(f"there is no request to carry out: {error}", where=str(self._request)) from error

    def withdraw(self) -> None:
        """Nobody will carry the request out: it must not lie about."""
        self._request.unlink(missing_ok=True)

    def veiled(self, value: Any) -> Any:
        """Text or data without the secrets of the request, which a container may repeat in what it says."""
        return self._veil.over(value)

    def tell(self, entry: Mapping[str, Any]) -> None:
        """Add an event, veiled. That nobody can be told is no reason to stop."""
        with suppress(OSError), self._path.open("ab") as handle:
            handle.write(json.dumps(self.veiled(entry), ensure_ascii=False).encode() + b"\n")

    def end(self, result: Mapping[str, Any]) -> None:
        """Tell the end, once."""
        if not self.has_ended():
            self.tell({ENDED: result})

    def since(self, number: int) -> list[dict[str, Any]]:
        """The events after the first ``number``; none when nothing was told since this host was started."""
        if not self._path.exists():
            return []
        lines = self._path.read_bytes().split(b"\n")[:-1]  # what has no end of line is being written
        return [dict(json.loads(line)) for line in lines[number:]]

    def has_ended(self) -> bool:
        """Whether the end was told."""
        return any(ENDED in entry for entry in self.since(0))

    def _make_room(self) -> None:
        with suppress(OSError):
            found = sorted(self._path.parent.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
            for path in found[_MOST:]:
                path.unlink()


def clear_requests(run: Path = RUN) -> None:
    """Take away requests that nobody came for: who put them down died before a unit was started."""
    folder = run / "requests"
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _WAITS_S:
                path.unlink()


def tellings(stack: str, run: Path = RUN) -> list[Told]:
    """What was told of a stack since this host was started, the newest first."""
    folder = run / "told" / stack
    found = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime) if folder.is_dir() else []
    return [Told(stack, path.stem, run) for path in reversed(found)]
