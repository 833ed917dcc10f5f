"""What people say with a signature from the controller: who signs, where it is kept, and how it is read again."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from ..module_utils.gateway.host_state import now as now_text
from ..module_utils.gateway.signatures import check, fingerprint_of, sign
from ..module_utils.model.document import nearest
from ..module_utils.model.errors import OpsError
from ..module_utils.model.gate import Checked, Gate, Subject
from ..module_utils.model.statement import BREAK_GLASS, CLOSED, HAPPENED, WITHDRAWN, Signed, Statement
from .estate import EstateAction, is_lab

KEY_VARIABLE = "SEISEI_SIGNING_KEY"
_KEY_SETTING = "ops_signing_key"
_SHORTEST_ID = 4
GLASS = (BREAK_GLASS, CLOSED)  # whoever releases anything is told of glass that is open
STANDING = (WITHDRAWN, *GLASS)  # what matters however long ago it was said


class Statements(Protocol):
    """Where statements are kept: the estate's ledger, in the words that are needed here."""

    def signed(self) -> list[Signed]: ...

    def append(self, signed: Signed) -> Any: ...

    def hashes(self) -> Mapping[int, str]: ...


@dataclass(frozen=True)
class Signatory:
    """Whoever runs this: the file of their key, and the name that the environment knows it by."""

    key: str
    name: str

    def sign(self, statement: Statement) -> Signed:
        """The statement with their signature."""
        return sign(statement, self.key)


def signatory(action: EstateAction, kind: str) -> Signatory:
    """Who signs a kind of statement on this machine.

    Raises OpsError when no key is named, it is nobody's here, or its owner may not sign that.
    """
    gate, environment = action.environment.gate, action.environment.name
    key = os.environ.get(KEY_VARIABLE) or str(action.variable(_KEY_SETTING) or "")
    if not key:
        raise OpsError(
            "nothing says which key you sign with",
            where=f"{KEY_VARIABLE}, {_KEY_SETTING}",
            # Not as NAME=value: what is shown hides a value beside a name that sounds like a secret's.
            do=f"export {KEY_VARIABLE} with the path of your key, such as ~/.ssh/id_ed25519 or the .pub of one in your"
            f" agent, or set {_KEY_SETTING}",
        )
    path = Path(key).expanduser()
    mark = fingerprint_of(path)
    name = next((one.name for one in gate.signers if one.fingerprint == mark), "")
    if not name:
        raise OpsError(
            f"nobody in {environment} has this key ({mark})",
            where=str(path),
            do=f"sign with another key ({KEY_VARIABLE}), or have it added to allowed_signers of {environment}",
        )
    if name not in gate.who_may(kind):
        able = ", ".join(gate.who_may(kind)) or "nobody"
        raise OpsError(
            f"{name} may not sign '{kind}' in {environment}; who may: {able}",
            where=str(path),
            do="ask one of them, or have allowed_signers changed",
        )
    return Signatory(str(path), name)


def say(action: EstateAction, kind: str, subject: Subject, by: str, **more: Any) -> Statement:
    """A statement about a release in this environment, of now, not yet signed."""
    given = {"environment": action.environment.name, **more}
    return Statement(
        kind=kind, stack=subject.stack, release=subject.release, digests=dict(subject.digests),
        definition=subject.definition, by=by, at=now_text(), **given,
    )  # fmt: skip


def checked(kept: Iterable[Signed], gate: Gate, now: datetime, wanted: Callable[[Statement], bool]) -> list[Checked]:
    """What people and verifying hosts said, and is wanted, its signatures looked at.

    To look at a signature takes a process, and a ledger grows: ask for what the question needs. Glass that was broken
    with a key which was valid then is broken, and stays so when the key runs out.
    """
    said = [one for one in kept if _is_wanted(one, wanted)]
    glass = [one for one in said if one.statement.kind == BREAK_GLASS]
    return [*check([one for one in said if one.statement.kind != BREAK_GLASS], gate, now), *check(glass, gate)]


def _is_wanted(signed: Signed, wanted: Callable[[Statement], bool]) -> bool:
    try:
        return signed.statement.kind != HAPPENED and wanted(signed.statement)
    except OpsError:  # no statement: verify_ledger.yml names it, and here it is worth nothing
        return False


def of_release(stack: str, release: str) -> Callable[[Statement], bool]:
    """What decides about a release: what was said of it and taken back; and broken glass of whatever stack."""
    return lambda one: one.kind in GLASS or (one.stack == stack and (one.kind == WITHDRAWN or one.release == release))


def of_id(number: str) -> Callable[[Statement], bool]:
    """A statement whose id begins so, and what was taken back and closed."""
    return lambda one: one.kind in STANDING or one.id.startswith(number)


def by_id(statements: Iterable[Checked], given: str) -> Statement:
    """The one statement whose id begins so.

    Raises OpsError when there is none with a good signature, or several.
    """
    good = [one.statement for one in statements if not one.fault or one.stays_open]
    found = [one for one in good if one.id.startswith(given)] if len(given) >= _SHORTEST_ID else []
    if len(found) == 1:
        return found[0]
    guess = nearest(given, [one.id for one in good])
    raise OpsError(
        f"{len(found)} statements have an id that begins with '{given}'",
        where="ledger",
        do=f"give more of it{f'; is it {guess[:12]}?' if guess else ''} (history.yml -e format=json shows ids); "
        "what was said while the ledger was away waits on a host until tell_ledger.yml brings it",
    )


def where(action: EstateAction, environment: str) -> str:
    """How a command line names an environment from here."""
    return f"{'' if is_lab(action) else f'-i inventories/{environment} '}--limit {environment}"
