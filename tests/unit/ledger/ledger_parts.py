"""Chains to try things on. Signatures in them are words: what they are worth is told to the verifier."""

from __future__ import annotations

from dataclasses import replace

from plugins.module_utils.model.ledger import NO_HEAD, Entry, Head, entry_from
from plugins.module_utils.model.statement import APPROVED, Signed, Statement
from plugins.module_utils.plan.ledger import Witness, next_entry

AT = "2026-11-25T06:00:00.000Z"
WRITER = "ops@laptop"


def statement(number: int, kind: str = APPROVED, **changed: object) -> Statement:
    """Statement number so much, the same each time."""
    said = Statement(
        kind=kind,
        environment="production",
        stack="odoo18",
        release="sha-19b9b98",
        digests={"web": f"sha256:{number:064x}"},
        definition="d" * 64,
        by="naoko",
        at=AT,
        why=f"because of {number}",
        id=f"{number:032x}",
    )
    return replace(said, **changed)  # type: ignore[arg-type]


def signed(number: int, kind: str = APPROVED, **changed: object) -> Signed:
    return Signed(statement(number, kind, **changed).text(), f"signature {number}")


def chain(length: int, said: list[Signed] | None = None) -> dict[int, str]:
    """A sound ledger of so many entries, as texts by number."""
    head, texts = NO_HEAD, {}
    for one in said or [signed(number) for number in range(1, length + 1)]:
        entry = next_entry(head, one, at=AT, writer=WRITER)
        head, texts[entry.number] = entry.head, entry.text()
    return texts


def rechained(texts: dict[int, str], since: int) -> dict[int, str]:
    """All entries after one linked anew, so that every link is right again."""
    new = dict(texts)
    for number in range(since + 1, max(texts) + 1):
        before = entry_from(new[number - 1])
        new[number] = replace(entry_from(new[number]), previous=before.head.hash).text()
    return new


def head_of(texts: dict[int, str], number: int = 0) -> Head:
    return entry_from(texts[number or max(texts)]).head


def witness(texts: dict[int, str], number: int = 0, where: str = "host production-1") -> Witness:
    """Somebody who kept the head of this chain, at one entry or the newest."""
    return Witness(where, head_of(texts, number))


def edited(text: str, **changed: object) -> str:
    """An entry with other fields."""
    entry: Entry = replace(entry_from(text), **changed)  # type: ignore[arg-type]
    return entry.text()
