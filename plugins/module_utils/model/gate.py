"""What an environment asks of a release before it may go live there, and of whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from .document import Node
from .release_window import WINDOW_KEYS, WindowPolicy, parse_windows
from .signers import Signer, parse_revoked, parse_signers
from .statement import BREAK_GLASS, Statement
from .vocabulary import Key, Keys

DAY_S = 86_400.0
_ENVIRONMENT = r"(?:[a-z][a-z0-9-]*)?"


@dataclass(frozen=True)
class Substance:
    """The least a reason has to be: so many characters, and so many different words."""

    characters: int = 30
    words: int = 5


@dataclass(frozen=True)
class Gate:
    """The gate of one environment.

    ``allowed_signers`` and ``revoked_keys`` are texts as ssh-keygen takes them, ``signers`` is what the first one says.
    ``verified_in`` is the environment whose hosts verify, ``promotes_to`` the one that a release goes to from here.
    ``valid_for`` is the longest life of an approval, in seconds.
    """

    required: bool = False
    allowed_signers: str = ""
    revoked_keys: str = ""
    signers: tuple[Signer, ...] = ()
    verified_in: str = ""
    promotes_to: str = ""
    valid_for: float = 7 * DAY_S
    least_reason: Substance = field(default_factory=Substance)
    windows: tuple[WindowPolicy, ...] = ()

    def who_may(self, kind: str) -> tuple[str, ...]:
        """Names of those who may sign a kind of statement, in order and once each."""
        return tuple(sorted({one.name for one in self.signers if kind in one.kinds}))


@dataclass(frozen=True)
class Subject:
    """The release that is judged, in the words of a statement."""

    stack: str
    release: str
    digests: Mapping[str, str]
    definition: str


@dataclass(frozen=True)
class Checked:
    """A statement whose signature was looked at. ``fault`` empty means that its signer did sign it, and may.

    ``revoked`` says of a fault that the key did sign it, and was revoked.
    """

    statement: Statement
    fault: str = ""
    revoked: bool = False

    @property
    def stays_open(self) -> bool:
        """Whether it is broken glass that somebody has to look at, whatever became of its key since."""
        return self.statement.kind == BREAK_GLASS and (not self.fault or self.revoked)


def subject_of(statement: Statement) -> Subject:
    """The release that a statement speaks of."""
    return Subject(statement.stack, statement.release, statement.digests, statement.definition)


def instant(text: str) -> datetime | None:
    """A statement's time; None when it is no time, or does not say its zone."""
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):  # the latter: the year 0 or 10000 in UTC
        return None


REASON_KEYS = Keys(
    Key("characters", "integer", "So many characters", lambda node: node.integer(least=1), default="30"),
    Key("words", "integer", "So many different words", lambda node: node.integer(least=1), default="5"),
    notes=False,
)
GATE_KEYS = Keys(
    Key("required", "true | false", "Whether releases and migrations have to pass it", Node.boolean, default="false"),
    Key("allowed_signers", "text", "Who may sign what, one a line, in a strict form of OpenSSH's allowed_signers",
        lambda node: node.text()),
    Key("revoked_keys", "text", "Public keys that count no more, one a line, whatever they signed", parse_revoked),
    Key("verified_in", "text", "The environment whose hosts verify a release, and where a person accepts it",
        lambda node: node.text(pattern=_ENVIRONMENT, hint="an environment's name")),
    Key("promotes_to", "text", "The environment that a release which was verified here is proposed for",
        lambda node: node.text(pattern=_ENVIRONMENT, hint="an environment's name")),
    Key("valid_for", "duration", "The longest life of an approval", lambda node: node.seconds(), default="168h"),
    Key("least_reason", "mapping", "The least that a reason has to say where one is demanded",
        lambda node: Substance(**REASON_KEYS.read(node)), keys=REASON_KEYS),
    Key("windows", "list", "When releases may go live; all policies of a stack hold together", parse_windows,
        keys=WINDOW_KEYS),
    notes=False,
)  # fmt: skip


def parse_gate(node: Node) -> Gate:
    """Read ``ops_environment.gate``; errors are collected in the node's document."""
    entries = GATE_KEYS.of(node)
    signers = parse_signers(entries["allowed_signers"]) if "allowed_signers" in entries else ()
    gate = Gate(**GATE_KEYS.read(node), signers=signers)
    if gate.required and not gate.verified_in:
        node.reject("'verified_in' is missing", "name the environment whose hosts verify releases, such as staging")
    if not gate.valid_for:
        node.child("valid_for", None).reject("no approval would ever be valid", "write it like 168h")
    return gate
