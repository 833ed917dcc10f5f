"""All that can be asked of the ledger, asked: links, heads that others kept, signatures, versions, the bucket."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..module_utils.gateway.ledger_storage import LedgerStorage
from ..module_utils.gateway.signatures import check
from ..module_utils.model.document import Node
from ..module_utils.model.environment import parse_environment
from ..module_utils.model.errors import OpsError
from ..module_utils.model.gate import Gate
from ..module_utils.model.ledger import Entry, Head
from ..module_utils.plan.ledger import STRAY, Chain, Finding, Witness, verify, with_versions
from .ledger import Ledger


@dataclass(frozen=True)
class Audit:
    """What was found, and what was looked at. ``unseen`` counts signatures of environments that the run lacks."""

    chain: Chain
    findings: tuple[Finding, ...]
    witnesses: tuple[Witness, ...]
    unseen: Mapping[str, int]
    loosened: tuple[str, ...]

    def rows(self) -> list[dict[str, Any]]:
        """A row for each finding, with what the entry says of itself."""
        entries = {entry.number: entry for entry in self.chain.entries}
        return [{**one.as_dict(), **_said(entries.get(one.number))} for one in self.findings]

    def lines(self) -> list[str]:
        """What was looked at, for a person."""
        seen = len(self.chain.entries) - sum(self.unseen.values())
        known = {one.where: one.head.number for one in sorted(self.witnesses, key=lambda one: one.head.number)}
        heads = ", ".join(f"{where} at {number}" for where, number in known.items()) or "nobody"
        return [
            f"  {len(self.chain.entries)} entries, head {self.chain.head}",
            f"  heads were kept by: {heads}",
            f"  signatures looked at: {seen}",
            *(f"  not looked at: {count} of '{name}', which is not in this run" for name, count in self.unseen.items()),
            *(f"  warning: {lack}" for lack in self.loosened),
        ]


def audit(ledger: Ledger, storage: LedgerStorage, gates: Mapping[str, Gate], heads: Iterable[Witness]) -> Audit:
    """Read all of it from the bucket and verify it. Raises LedgerAway when that cannot be done."""
    texts, known, listing = ledger.whole()
    witnesses = (*known, *(one for one in heads if one.head.number))
    signatures, unseen = _signatures(verify(texts).entries, gates)
    chain = verify(texts, witnesses=witnesses, signatures=signatures)
    strays = [Finding(0, STRAY, f"'{name}' is no entry, and stands among them") for name in listing.strays]
    findings = with_versions([*strays, *chain.findings], storage.versions())
    return Audit(chain, findings, witnesses, unseen, tuple(storage.loosened()))


def _signatures(entries: Iterable[Entry], gates: Mapping[str, Gate]) -> tuple[dict[int, str], Counter[str]]:
    """Why signatures do not count, by entry, and how many could not be looked at in each environment."""
    found: dict[int, str] = {}
    unseen: Counter[str] = Counter()
    by_environment: dict[str, list[Entry]] = {}
    for entry in entries:
        try:
            by_environment.setdefault(entry.signed.statement.environment, []).append(entry)
        except OpsError as error:
            found[entry.number] = error.what
    for name, theirs in by_environment.items():
        if name in gates:
            checked = check([entry.signed for entry in theirs], gates[name])
            found |= {entry.number: one.fault for entry, one in zip(theirs, checked, strict=True)}
        else:
            unseen[name] = len(theirs)
    return found, unseen


def gates_of(variables: Mapping[str, Any]) -> dict[str, Gate]:
    """The gate of every environment of the run, by the environment's name."""
    found: dict[str, Gate] = {}
    for host in variables["ansible_play_hosts_all"]:
        settings = variables["hostvars"][host].get("ops_environment")
        if settings is not None:
            environment = parse_environment(Node(settings, f"ops_environment of {host}"))
            found[environment.name] = environment.gate
    return found


def given_head(text: str) -> list[Witness]:
    """A head as notifications print it: ``12:0123456789ab``, or with the whole hash."""
    number, _, mark = text.partition(":")
    if not text:
        return []
    if not number.isdecimal() or not 12 <= len(mark) <= 64 or set(mark) - set("0123456789abcdef"):
        raise OpsError(
            f"'{text}' is no head of the ledger", where="-e head", do="copy it from a notification: 12:0123456789ab"
        )
    return [Witness("whoever gave this head", Head(int(number), mark))]


def _said(entry: Entry | None) -> dict[str, Any]:
    if entry is None:
        return {}
    try:
        one = entry.signed.statement
    except OpsError:
        return {"writer": entry.writer, "at": entry.at}
    about = {"statement": one.kind, "environment": one.environment, "stack": one.stack, "release": one.release}
    return {"writer": entry.writer, "at": entry.at, "by": one.by, **about}
