"""Verify the ledger: find what was changed in it since it was written, and say which entry, in words.

Links tell an edited entry from its successor; witnesses (hosts, controllers and people that kept a head) tell what
links cannot: a tail that was cut off, and a chain that was linked anew after an edit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from ..model.errors import OpsError
from ..model.ledger import NO_HEAD, Entry, Head, LedgerTampered, Version, entry_from, hash_of
from ..model.statement import Signed

EDITED, REMOVED, TRUNCATED, REORDERED = "edited", "removed", "truncated", "reordered"
DUPLICATE, FOREIGN, FORKED, REWRITTEN, STRAY = "duplicate", "foreign signature", "forked", "rewritten", "stray"
_TAIL, _MARK = 1000, 32  # entries, and hexadecimal digits of each: 128 bits are beyond guessing
_MOST = 3  # findings that one sentence of an error tells


@dataclass(frozen=True)
class Witness:
    """A head that somebody kept: ``where`` is who, such as ``host production-1``."""

    where: str
    head: Head

    def knows(self, mark: str) -> bool:
        """Whether this is the hash of the entry it knows; of a head that people copy, a beginning is enough."""
        return bool(self.head.hash) and mark.startswith(self.head.hash)


@dataclass(frozen=True)
class Finding:
    """Something that is not as it was written. ``number`` is the entry's, 0 where it is no entry's."""

    number: int
    kind: str
    what: str

    def as_dict(self) -> dict[str, Any]:
        """For reports."""
        return asdict(self)

    def __str__(self) -> str:
        return f"entry {self.number} ({self.kind}): {self.what}" if self.number else f"{self.kind}: {self.what}"


@dataclass(frozen=True)
class Chain:
    """The ledger as it was found. ``entries`` are those that can be read, in order; sound when nothing was found."""

    entries: tuple[Entry, ...]
    hashes: Mapping[int, str]
    findings: tuple[Finding, ...]

    @property
    def head(self) -> Head:
        """The newest entry."""
        return Head(self.entries[-1].number, self.hashes[self.entries[-1].number]) if self.entries else NO_HEAD

    def sound(self) -> Chain:
        """Itself; raises LedgerTampered when something was found."""
        if not self.findings:
            return self
        told = "; ".join(str(one) for one in self.findings[:_MOST])
        more = len(self.findings) - _MOST
        raise LedgerTampered(
            f"the ledger is not as it was written: {told}{f'; and {more} more' if more > 0 else ''}",
            where="ledger",
            do="run verify_ledger.yml, and let somebody look before anything is written into it",
        )


def verify(
    objects: Mapping[int, str],
    *,
    witnesses: Iterable[Witness] = (),
    signatures: Mapping[int, str] | None = None,
) -> Chain:
    """What the ledger holds, and everything that is wrong with it.

    ``objects`` are the texts found under each number. ``signatures`` says of each entry why its statement's signature
    does not count; an empty reason, or none, is a good one.
    """
    told = tuple(witnesses)
    entries, findings = _read(objects)
    placed, misplaced = _placed(objects, entries)
    hashes = {number: hash_of(entry.text()) for number, entry in placed.items()}
    # What cannot be read still stands in its place: its bytes have a hash that its successor may confirm.
    hashes |= {number: hash_of(objects[number]) for number in objects if number not in entries}
    findings += misplaced
    findings += _missing(objects, told)
    findings += [Finding(number, FOREIGN, why) for number, why in (signatures or {}).items() if why]
    findings += _broken_links(placed, hashes, told, {one.number for one in findings})
    findings += _contradicted(placed, hashes, told, {one.number for one in findings if one.kind != FOREIGN})
    findings += _statements(placed)
    in_order = tuple(sorted(findings, key=_by_number))
    return Chain(tuple(placed[number] for number in sorted(placed)), hashes, in_order)


def known_heads(where: str, texts: Mapping[int, str]) -> list[Witness]:
    """Somebody who kept every entry is a witness of each of them."""
    return [Witness(where, Head(number, hash_of(text))) for number, text in texts.items()]


def tail_of(hashes: Mapping[int, str]) -> dict[str, Any]:
    """The newest entries' hashes, shortened: who kept the head of one of them can tell whether it is the same still."""
    last = max(hashes, default=0)
    first = max(1, last - _TAIL + 1)
    return {"first": first, "hashes": [hashes[number][:_MARK] for number in range(first, last + 1)]}


def missed_in(tail: Mapping[str, Any], known: Head) -> str:
    """What the ledger of a :func:`tail_of` lacks of that whose head is ``known``, in words; empty when nothing."""
    first, hashes = tail.get("first"), tail.get("hashes")
    if not known.number:
        return ""
    if type(first) is not int or not isinstance(hashes, list):
        return "what the ledger says did not come along"
    last = first + len(hashes) - 1
    if known.number > last:
        return f"the ledger ended with entry {last} where it was judged, and this host knows entry {known.number}"
    if known.number < first:
        return f"this host was told of entry {known.number}, and of none of the {_TAIL} newest"
    mark = hashes[known.number - first]
    if not isinstance(mark, str) or len(mark) != _MARK or not known.hash.startswith(mark):
        return f"entry {known.number} of the ledger was another where it was judged than this host knows it"
    return ""


def with_versions(findings: Iterable[Finding], versions: Mapping[int, Sequence[Version]]) -> tuple[Finding, ...]:
    """Findings with what the bucket's versions tell: when it was done, and where the entry still is as it was written.

    ``versions`` are the newest first. A tail that was deleted is told by them even where nobody kept a head, and where
    a witness only knows that something was written anew, they know since which entry.
    """
    traces = {number: _trace(kept) for number, kept in versions.items() if len(kept) > 1 or kept[0].gone}
    told = []
    for one in findings:
        since = min((number for number in traces if number >= one.number), default=one.number)
        number = since if one.kind == REWRITTEN else one.number
        trace = f"; {traces.pop(number)[1]}" if number in traces else ""
        told.append(Finding(number, one.kind, one.what + trace))
    return tuple(sorted([*told, *(Finding(number, *trace) for number, trace in traces.items())], key=_by_number))


def _trace(kept: Sequence[Version]) -> tuple[str, str]:
    first = kept[-1]
    still = f"as it was first written, at {first.at}, it is kept as version {first.id}"
    if kept[0].gone:
        return REMOVED, f"it was deleted at {kept[0].at}; {still}"
    return EDITED, f"it was written again at {kept[0].at}; {still}"


def _by_number(one: Finding) -> int:
    return one.number


def next_entry(head: Head, signed: Signed, *, at: str, writer: str) -> Entry:
    """The entry that follows the newest one."""
    return Entry(head.number + 1, head.hash, at, writer, signed)


def _read(objects: Mapping[int, str]) -> tuple[dict[int, Entry], list[Finding]]:
    entries: dict[int, Entry] = {}
    findings: list[Finding] = []
    for number, text in objects.items():
        try:
            entries[number] = entry_from(text)
        except OpsError as error:
            findings.append(Finding(number, EDITED, f"it cannot be read as it was written: {error.what}"))
    return entries, findings


def _placed(objects: Mapping[int, str], entries: Mapping[int, Entry]) -> tuple[dict[int, Entry], list[Finding]]:
    """Entries by the number they were written under, where that can be told; and those that stand elsewhere."""
    placed = {number: entry for number, entry in entries.items() if entry.number == number}
    findings = []
    for number, entry in sorted(entries.items()):
        if entry.number == number:
            continue
        if placed.get(entry.number) == entry:
            findings.append(Finding(number, DUPLICATE, f"it is a copy of entry {entry.number}"))
        elif entry.number in placed:
            findings.append(Finding(number, FORKED, f"it says it is entry {entry.number}, and there is another one"))
        else:
            findings.append(Finding(number, REORDERED, f"in its place stands what was written as entry {entry.number}"))
            if entry.number in objects:
                placed[entry.number] = entry
    return placed, findings


def _missing(objects: Mapping[int, str], witnesses: Sequence[Witness]) -> list[Finding]:
    last = max(objects, default=0)
    findings = [_gap(first, end, last) for first, end in _gaps(objects)]
    most = max(witnesses, key=lambda one: one.head.number, default=Witness("", NO_HEAD))
    if most.head.number > last:
        with_it = "" if most.head.number == last + 1 else f", with all up to entry {most.head.number}"
        findings.append(Finding(last + 1, TRUNCATED, f"it was cut off{with_it}: {most.where} knows of it"))
    return findings


def _gaps(objects: Mapping[int, str]) -> Iterator[tuple[int, int]]:
    """First and last number of each run that is not there: one object far away makes one gap, however wide it is."""
    for before, after in pairwise((0, *sorted(number for number in objects if number > 0))):
        if after > before + 1:
            yield before + 1, after - 1


def _gap(first: int, end: int, last: int) -> Finding:
    with_it = "" if first == end else f", with all up to entry {end}"
    return Finding(first, REMOVED, f"it is not there{with_it}, and entry {last} is")


def _broken_links(
    placed: Mapping[int, Entry], hashes: Mapping[int, str], witnesses: Sequence[Witness], named: set[int]
) -> list[Finding]:
    broken = {number for number, entry in placed.items() if not _follows(number, entry, hashes)}
    findings: list[Finding] = []
    for number in sorted(broken):
        before = number - 1
        blamed = _blamed(number, broken, placed, _confirmations(hashes, witnesses))
        known = named | {one.number for one in findings}
        if (before and before not in placed) or (len(blamed) > 1 and known & set(blamed)):
            continue  # one of the two was named already, and that explains it
        doubt = f"entries {before} and {number} do not belong together, and nobody else knows which of them was changed"
        says = {number: _names_another(placed[number], hashes), before: f"entry {number} was written after another one"}
        findings += [
            Finding(one, EDITED, doubt if len(blamed) > 1 else says[one]) for one in blamed if one not in known
        ]
    return findings


def _follows(number: int, entry: Entry, hashes: Mapping[int, str]) -> bool:
    if number == 1:
        return entry.previous == ""
    return number - 1 not in hashes or entry.previous == hashes[number - 1]


def _confirmations(hashes: Mapping[int, str], witnesses: Iterable[Witness]) -> dict[int, bool]:
    """Of each entry that a witness knows, whether it is still the same."""
    known: dict[int, bool] = {}
    for one in witnesses:
        if one.head.number in hashes:
            same = one.knows(hashes[one.head.number])
            known[one.head.number] = same and known.get(one.head.number, True)
    return known


def _blamed(number: int, broken: set[int], placed: Mapping[int, Entry], known: Mapping[int, bool]) -> list[int]:
    """Which of two entries was changed when the second does not follow the first.

    A witness or, for the second, the entry after it tells whether an entry is as it was; without either both are named.
    """
    before, after = number - 1, number + 1
    first = known.get(before)
    second = known.get(number, after not in broken if after in placed else None)
    if before == 0 or second is False:
        return [number] if before == 0 or first is not False else [before, number]
    if second or first is False:
        return [before]
    return [number] if first else [before, number]


def _names_another(entry: Entry, hashes: Mapping[int, str]) -> str:
    named = [number for number, mark in hashes.items() if mark == entry.previous and number != entry.number - 1]
    return f"it names {f'entry {named[0]}' if named else 'an entry that is not there'} as the one before it"


def _contradicted(
    placed: Mapping[int, Entry], hashes: Mapping[int, str], witnesses: Sequence[Witness], named: set[int]
) -> list[Finding]:
    """The first entry that a witness knows otherwise, where nothing else has named one at or before it.

    Every later witness contradicts as well then, since each entry stands on all before it.
    """
    against = [one for one in witnesses if one.head.number in hashes and not one.knows(hashes[one.head.number])]
    if not against:
        return []
    first = min(against, key=lambda one: one.head.number)
    if any(number <= first.head.number for number in named if number):
        return []
    agreeing = [
        one.head.number
        for one in witnesses
        if one.head.number < first.head.number and one.knows(hashes.get(one.head.number, ""))
    ]
    since = max(agreeing, default=0) + 1
    knows = f"{first.where} knows another entry {first.head.number}"
    if since == first.head.number and since + 1 not in placed:
        return [Finding(since, EDITED, knows)]
    where = "from it on" if since == first.head.number else f"somewhere from it to entry {first.head.number}"
    return [Finding(since, REWRITTEN, f"{where} the ledger was written anew: {knows}")]


def _statements(placed: Mapping[int, Entry]) -> list[Finding]:
    """Statements that cannot be read, and those that stand in more than one entry."""
    said: dict[str, list[int]] = defaultdict(list)
    findings = []
    for number, entry in sorted(placed.items()):
        try:
            said[entry.signed.statement.id].append(number)
        except OpsError as error:
            findings.append(Finding(number, FOREIGN, error.what))
    repeated = [(number, numbers[0]) for numbers in said.values() for number in numbers[1:]]
    return findings + [
        Finding(number, DUPLICATE, f"its statement stands in entry {first} already") for number, first in repeated
    ]
