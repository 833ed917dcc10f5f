"""A statement about one release that somebody answers for with a signature: verified, approved, done, and the like.

The signed bytes are the statement's canonical JSON. The kind is part of the signature's namespace, so that a key that
may verify cannot approve, whatever a statement says of itself.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from .container import canonical
from .errors import OpsError

VERIFIED, ACCEPTED, APPROVED, REQUESTED = "verified", "accepted", "approved", "requested"
BREAK_GLASS, CLOSED, WITHDRAWN, HAPPENED = "break_glass", "closed", "withdrawn", "happened"

KINDS: Mapping[str, str] = {
    VERIFIED: "a host's smoke tests passed with this release",
    ACCEPTED: "a person tried this release where it was verified, and accepts it",
    APPROVED: "a person allows this release in the environment",
    REQUESTED: "a person asks for this release to go live",
    BREAK_GLASS: "a person puts this release live without verification or approval, and says why",
    CLOSED: "a person other than who broke the glass has looked at it since",
    WITHDRAWN: "a person takes a statement back",
    HAPPENED: "a host did something with this release, and how it ended",
}

_DEEPEST = 20  # what hosts tell has three


def namespace_of(kind: str) -> str:
    """What ``ssh-keygen -Y sign -n`` is given for a kind of statement; ``namespaces=`` in allowed_signers names it."""
    return f"{kind}@seisei-ops"


def definition_of(tree: Any) -> str:
    """The fingerprint of a stack file's tree before its names are resolved: the same in every environment.

    SHA-256 of its canonical JSON, 64 hexadecimal digits. Keys are made text first, as they are on the wire.
    """
    return hashlib.sha256(canonical(json.loads(json.dumps(tree))).encode()).hexdigest()


@dataclass(frozen=True)
class Statement:
    """What is said of one release, in one environment, by one signer.

    ``digests`` maps a released service to its image digest and ``definition`` is the fingerprint of the stack file as
    it stands in the repository: with ``stack`` and ``release`` they are the release, and nothing else is. ``by`` is the
    signer's principal in allowed_signers. ``at`` and ``expires`` are UTC, ISO 8601; an empty ``expires`` never comes.
    ``of`` is the id of the statement that this one closes or withdraws. ``details`` are facts of the kind: ``smoke``,
    ``window`` (why a refused time is taken all the same), ``action``, ``outcome``, ``seconds`` and others.
    """

    kind: str
    environment: str
    stack: str
    release: str
    digests: Mapping[str, str]
    definition: str
    by: str
    at: str
    expires: str = ""
    why: str = ""
    of: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: secrets.token_hex(16))

    def text(self) -> str:
        """The bytes that are signed: JSON with sorted keys, no spaces."""
        return canonical(asdict(self))


@dataclass(frozen=True)
class Signed:
    """A statement as it travels: the exact ``text`` that was signed, and the armoured ``signature`` over it."""

    text: str
    signature: str

    def as_dict(self) -> dict[str, str]:
        """For the ledger, for hosts."""
        return asdict(self)

    @property
    def statement(self) -> Statement:
        """What the text says. Nothing is verified by this.

        Raises OpsError when it is not a statement in canonical form: another text with the same meaning is refused, so
        that two readers cannot take one signature for two things.
        """
        return statement_from(self.text)


def statement_from(text: str) -> Statement:
    """The inverse of :meth:`Statement.text`. Raises OpsError for anything else."""
    try:
        text.encode()  # what cannot be written down as UTF-8 cannot have been signed
        return _statement_from(text, json.loads(text))
    except ValueError as error:
        raise _refused(f"it is not JSON ({error})") from error
    except RecursionError as error:
        raise _refused("it is nested too deeply") from error


def _statement_from(text: str, found: Any) -> Statement:
    names = {one.name for one in fields(Statement)}
    if not isinstance(found, dict) or set(found) != names:
        odd = sorted(names ^ set(found)) if isinstance(found, dict) else []
        raise _refused(f"its fields are not those of a statement{': ' + ', '.join(odd) if odd else ''}")
    mappings = ("digests", "details")
    wrong = [name for name in names if not isinstance(found[name], dict if name in mappings else str)]
    if wrong:
        raise _refused(f"'{sorted(wrong)[0]}' has the wrong type")
    if not all(isinstance(digest, str) for digest in found["digests"].values()):
        raise _refused("'digests' has the wrong type")
    if not _is_shallow(found["details"], _DEEPEST):
        raise _refused("it is nested too deeply")
    if found["kind"] not in KINDS:
        raise _refused(f"'{found['kind']}' is not a kind of statement")
    statement = Statement(**found)
    if statement.text() != text:
        raise _refused("it is not in canonical form")
    return statement


def _is_shallow(value: Any, deepest: int) -> bool:
    """Whether it can be read and written again wherever that is asked: Python's own limit depends on who asks."""
    if not isinstance(value, (dict, list)):
        return True
    inside = value.values() if isinstance(value, dict) else value
    return deepest > 0 and all(_is_shallow(one, deepest - 1) for one in inside)


def signed_from(found: Mapping[str, Any]) -> Signed:
    """The inverse of :meth:`Signed.as_dict`. Raises OpsError for anything else."""
    text, signature = found.get("text"), found.get("signature")
    if not isinstance(text, str) or not isinstance(signature, str):
        raise _refused("text or signature is missing")
    return Signed(text, signature)


def _refused(why: str) -> OpsError:
    return OpsError(
        f"this is no signed statement: {why}", where="statement", do="have its signer make it anew with the playbook"
    )
