"""The ledger as actions use it: read, verified and kept; appended to, once for each statement, by several at a time."""

from __future__ import annotations

import getpass
import platform
import random
import time
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from ..module_utils.gateway.host_state import now
from ..module_utils.gateway.ledger_storage import LedgerStorage
from ..module_utils.model.environment import Aws, Environment, LedgerPlace
from ..module_utils.model.errors import OpsError
from ..module_utils.model.ledger import Entry, Head, LedgerAway, LedgerClash, Listing
from ..module_utils.model.statement import Signed
from ..module_utils.plan.ledger import Chain, Witness, known_heads, next_entry, verify
from .estate import ROOT
from .ledger_copy import Kept, LedgerCopy

COPIES = ROOT / "build" / "ledger"
THIS_MACHINE = "this machine's copy"
_TRIES = 40  # each that fails is an entry of somebody else's
_LONGEST_PAUSE_S = 0.5


class Storage(Protocol):
    """What is asked of a storage; see :class:`LedgerStorage`."""

    @property
    def where(self) -> str: ...

    def listing(self) -> Listing: ...

    def read(self, numbers: Iterable[int]) -> Mapping[int, tuple[str, str]]: ...

    def put(self, number: int, text: str) -> str: ...


@cache
def storage_of(place: LedgerPlace, aws: Aws) -> LedgerStorage:
    """The storage of a ledger, the same for everybody in this process: its connection is kept."""
    return LedgerStorage(place, aws)


class Ledger:
    """The ledger of the estate. ``environment`` says where it is; both environments say the same.

    Every method raises LedgerAway when the storage cannot be reached from here, and LedgerTampered when what is in it
    is not what was written.
    """

    def __init__(
        self, environment: Environment, *, copies: Path = COPIES, storage: Storage | None = None, writer: str = ""
    ) -> None:
        place = _declared(environment)
        self.storage = storage or storage_of(place, environment.aws)
        self.copy = LedgerCopy(copies / f"{_name_of(place)}.jsonl")
        self.writer = writer or f"{getpass.getuser()}@{platform.node()}"
        self._known: Chain | None = None

    def entries(self) -> tuple[Entry, ...]:
        """All entries as they are now, their chain verified. Signatures are verified by whoever relies on one."""
        return self.chain().sound().entries

    def signed(self) -> list[Signed]:
        """Every statement, oldest first."""
        return [entry.signed for entry in self.entries()]

    def head(self) -> Head:
        """The newest entry's number and hash: what hosts and notifications keep."""
        return (self._known or self.chain()).sound().head

    def hashes(self) -> Mapping[int, str]:
        """The hash of every entry, by number."""
        return (self._known or self.chain()).sound().hashes

    def append(self, signed: Signed) -> Entry:
        """Write a statement; one that is in the ledger already stays as it is, and its entry is returned.

        Somebody else may write meanwhile: the storage lets one of them have a number, and the other links anew.
        """
        statement = signed.statement
        for attempt in range(_TRIES):
            chain = (self._known or self.chain()).sound()
            if found := _entry_of(chain, statement.id):
                return _same(found, signed)
            entry = next_entry(chain.head, signed, at=now(), writer=self.writer)
            if mark := self.storage.put(entry.number, entry.text()):
                self._remember(chain, entry, mark)
                return entry
            self._known = None
            # Who was first has got on; the pause only keeps many from asking at the same instant again.
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE_S, 0.01 * 2**attempt)))  # noqa: S311 - no secret
        raise LedgerAway(
            f"somebody else took the next number {_TRIES} times in a row",
            where=self.storage.where,
            do="run this again; when it stays so, look with verify_ledger.yml who writes",
        )

    def merge(self, statements: Iterable[Signed], clashes: list[LedgerClash] | None = None) -> list[Entry]:
        """Write those that are not there yet, in the order in which they were said.

        With a list for ``clashes`` one whose id is taken is put there, and the others are written; else it is raised.
        """
        entries = []
        for one in sorted(statements, key=lambda one: one.statement.at):
            try:
                entries.append(self.append(one))
            except LedgerClash as clash:
                if clashes is None:
                    raise
                clashes.append(clash)
        return entries

    def chain(self, witnesses: Iterable[Witness] = (), signatures: Mapping[int, str] | None = None) -> Chain:
        """The ledger as it is in the bucket now, with what is wrong with it; nothing is raised for that.

        One listing, and the entries that this machine does not know yet. Whatever this machine knew and is not there
        any more, or is another, is a finding.
        """
        kept, listing = self.copy.entries(), self.storage.listing()
        alike = {number for number, mark in listing.marks.items() if number in kept and kept[number].mark == mark}
        fresh = self._fetched(listing.marks.keys() - alike)
        found = {**{number: kept[number] for number in alike}, **fresh}
        chain = self._judged(found, kept, witnesses, signatures)
        if chain.findings and kept:
            chain = self._without_the_copy(listing, kept, witnesses, signatures)
        elif not chain.findings:
            self.copy.add({number: one for number, one in fresh.items() if number not in kept})
        self._known = chain
        return chain

    def whole(self) -> tuple[dict[int, str], list[Witness], Listing]:
        """For an audit: every text as it is in the bucket now, and what this machine knew of it."""
        kept, listing = self.copy.entries(), self.storage.listing()
        texts = {number: one.text for number, one in kept.items()}
        sound = not verify(texts).findings
        found = self._fetched(listing.marks)
        return (
            {number: one.text for number, one in found.items()},
            known_heads(THIS_MACHINE, texts) if sound else [],
            listing,
        )

    def _without_the_copy(
        self,
        listing: Listing,
        kept: dict[int, Kept],
        witnesses: Iterable[Witness],
        signatures: Mapping[int, str] | None,
    ) -> Chain:
        """The verdict from the bucket alone; a copy that does not hold together is no witness, and gives way to it."""
        found = self._fetched(listing.marks)
        if not verify({number: one.text for number, one in kept.items()}).findings:
            return self._judged(found, kept, witnesses, signatures)
        chain = self._judged(found, {}, witnesses, signatures)
        if not chain.findings:
            self.copy.replace(found)
        return chain

    def _judged(
        self,
        found: Mapping[int, Kept],
        kept: Mapping[int, Kept],
        witnesses: Iterable[Witness],
        signatures: Mapping[int, str] | None,
    ) -> Chain:
        known = known_heads(THIS_MACHINE, {number: one.text for number, one in kept.items()})
        texts = {number: one.text for number, one in found.items()}
        return verify(texts, witnesses=[*known, *witnesses], signatures=signatures)

    def _fetched(self, numbers: Iterable[int]) -> dict[int, Kept]:
        return {number: Kept(*one) for number, one in self.storage.read(numbers).items()} if numbers else {}

    def _remember(self, chain: Chain, entry: Entry, mark: str) -> None:
        self.copy.add({entry.number: Kept(entry.text(), mark)})
        self._known = Chain((*chain.entries, entry), {**chain.hashes, entry.number: entry.head.hash}, ())


def _declared(environment: Environment) -> LedgerPlace:
    if not environment.ledger.bucket:
        raise OpsError(
            f"environment '{environment.name}' declares no ledger",
            where="ops_environment.ledger",
            do="name the bucket that all environments share",
        )
    return environment.ledger


def _name_of(place: LedgerPlace) -> str:
    """A file's name for one ledger: that of the lab and a real one may be read from the same checkout."""
    storage = urlsplit(place.endpoint).hostname or place.region
    return "-".join(part for part in (storage, place.bucket, place.prefix.replace("/", "-")) if part)


def _entry_of(chain: Chain, statement: str) -> Entry | None:
    alike = (entry for entry in reversed(chain.entries) if statement in entry.signed.text)  # to parse them all is slow
    return next((entry for entry in alike if entry.signed.statement.id == statement), None)


def _same(entry: Entry, signed: Signed) -> Entry:
    if entry.signed == signed:
        return entry
    other = "signature of this statement" if entry.signed.text == signed.text else "statement with this id"
    raise LedgerClash(
        f"statement {signed.statement.id} is not written: entry {entry.number} has another {other}",
        where="ledger",
        do="let somebody look at both (verify_ledger.yml says whose signature does not count); who says something anew"
        " signs it with an id of its own",
    )
