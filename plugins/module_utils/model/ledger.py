"""The ledger: who said and did what with which release, each entry bound to the one before by its hash.

An entry wraps one signed statement. Its bytes are its canonical JSON, and what the next entry calls ``previous`` is the
SHA-256 of those bytes: to change an entry without a trace, every later one and every head that was kept elsewhere
would have to change with it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .container import canonical
from .errors import OpsError
from .statement import Signed, signed_from

_HASH = re.compile(r"[0-9a-f]{64}")
_FIELDS = frozenset({"number", "previous", "at", "writer", "signed"})


class LedgerAway(OpsError):
    """The ledger cannot be read or written from here, now: nothing is said about what is in it.

    A rollback and a broken glass go on without it, since hosts keep what they did; an ordinary release waits.
    """


class LedgerTampered(OpsError):
    """What is in the ledger is not what was written: it is not built upon, and a person has to look."""


class LedgerClash(OpsError):
    """A statement's id stands in the ledger already, with other words or another signature."""


@dataclass(frozen=True)
class Head:
    """The newest entry that somebody knows: with its hash all entries before it are known as well."""

    number: int
    hash: str

    def as_dict(self) -> dict[str, Any]:
        """For hosts, and for notifications."""
        return {"number": self.number, "hash": self.hash}

    def __str__(self) -> str:
        return f"{self.number}:{self.hash[:12]}"


NO_HEAD = Head(0, "")


@dataclass(frozen=True)
class Entry:
    """One entry, numbered from 1. ``previous`` is empty in the first; ``writer`` is who ran the controller, and where.

    ``at`` is UTC, ISO 8601, of the writing; when a thing was said or done stands in the statement.
    """

    number: int
    previous: str
    at: str
    writer: str
    signed: Signed

    def text(self) -> str:
        """The entry's bytes, as text."""
        told = {"number": self.number, "previous": self.previous, "at": self.at, "writer": self.writer}
        return canonical({**told, "signed": self.signed.as_dict()})

    @property
    def head(self) -> Head:
        """What to keep of this entry in order to recognise it, and all before it."""
        return Head(self.number, hash_of(self.text()))


@dataclass(frozen=True)
class Version:
    """One version of an entry's object, in a bucket that keeps versions.

    ``gone`` is a delete marker: it hides the versions before it, and removes none.
    """

    id: str
    at: str
    latest: bool
    gone: bool


@dataclass(frozen=True)
class Listing:
    """What stands in the bucket now: a mark of the content for each number, and names that are no entry's."""

    marks: Mapping[int, str]
    strays: tuple[str, ...]


def hash_of(text: str) -> str:
    """SHA-256 of an entry's bytes, in hexadecimal digits."""
    # Halves of surrogate pairs come from no bucket, but may stand in a file that somebody edited: a finding, no crash.
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def entry_from(text: str) -> Entry:
    """The inverse of :meth:`Entry.text`.

    Raises OpsError for anything else, another spelling of the same entry included.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _refused("it is not JSON") from error
    if not isinstance(found, dict) or found.keys() != _FIELDS or not isinstance(found["signed"], dict):
        raise _refused("its fields are not those of an entry")
    if found["signed"].keys() != {"text", "signature"}:
        raise _refused("its statement has other parts than text and signature")
    entry = Entry(**{**found, "signed": signed_from(found["signed"])})
    if not _sound(entry):
        raise _refused("a field has the wrong type")
    if entry.text() != text:
        raise _refused("it is not in canonical form")
    return entry


def _sound(entry: Entry) -> bool:
    numbered = type(entry.number) is int and entry.number > 0
    linked = isinstance(entry.previous, str) and bool(_HASH.fullmatch(entry.previous) or entry.previous == "")
    return numbered and linked and isinstance(entry.at, str) and isinstance(entry.writer, str)


def head_from(found: Mapping[str, Any]) -> Head:
    """The inverse of :meth:`Head.as_dict`. Raises OpsError for anything else."""
    number, mark = found.get("number"), found.get("hash")
    if (
        type(number) is not int
        or number < 0
        or not isinstance(mark, str)
        or bool(number) != bool(_HASH.fullmatch(mark))
    ):
        raise OpsError(
            "this is no head of the ledger",
            where="ledger head",
            do="look into it with verify_ledger.yml before you take it away",
        )
    return Head(number, mark)


def _refused(why: str) -> OpsError:
    return OpsError(f"this is no entry of the ledger: {why}", where="ledger", do="run verify_ledger.yml")
