"""What a runbook promises: the front matter of ``runbooks/<name>.md``, which ``playbooks/<name>.yml`` obeys."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .document import Node

Value = str | int | float | bool | None

SCOPES = ("one_environment", "one_host", "any")
LOCKS = ("stack", "host", "none")
RISKS = ("low", "medium", "high")

RELEASE = r"sha-[0-9a-f]{7,40}"
STACK = r"[a-z][a-z0-9_-]{0,40}"
# PostgreSQL cuts names at 63 bytes; tenants may carry a dash.
DATABASE = r"[A-Za-z_][A-Za-z0-9_-]{0,62}"

_RISK = re.compile(r"(?P<level>\w+)[\s,.:;–-]+(?P<reason>\S.*)", re.DOTALL)
_TRIED_ON = "staging"  # whatever can be tried there is
_TIME_FORM = "write it like 2026-02-01T09:30+09:00 (Tokyo) or 2026-02-01T00:30Z (UTC)"
_WORDS = {"true": True, "yes": True, "false": False, "no": False}
_TOP = (
    "title", "title_zh", "purpose", "purpose_zh", "when", "inputs", "scope", "changes", "preconditions", "risk", "lock",
    "undo", "expected", "example_on",
)  # fmt: skip
_DEMANDED = ("title", "purpose", "when", "scope", "changes", "risk", "lock", "undo", "expected")
_INPUT = ("type", "required", "default", "help", "example", "choices", "least")


@dataclass(frozen=True)
class Input:
    """One thing an operator says with ``-e name=value``. ``type`` is one of :data:`TYPES`."""

    name: str
    type: str
    help: str = ""
    required: bool = False
    default: Value = None
    example: str = ""
    choices: tuple[str, ...] = ()
    least: int | None = None

    @property
    def sample(self) -> str:
        """What to write after ``name=`` in an example: the example, a choice or the name in angle brackets."""
        if self.example:
            return self.example
        return "|".join(self.choices) if self.choices else f"<{self.name}>"

    def read(self, node: Node) -> Value:
        """The typed value of ``node``, which collects errors; durations become seconds, times an ISO text in UTC."""
        return None if node.value is None else _READERS[self.type](self, node)


@dataclass(frozen=True)
class Runbook:
    """A procedure as its operator sees it. ``expected`` is in seconds; ``undo`` is a runbook's name or a sentence.

    ``example_on`` is the environment that the page's example names.
    """

    name: str
    title: str
    purpose: str
    when: str
    scope: str
    changes: str
    risk: str
    risk_reason: str
    lock: str
    undo: str
    expected: float
    inputs: dict[str, Input]
    preconditions: tuple[str, ...] = ()
    title_zh: str = ""
    purpose_zh: str = ""
    example_on: str = _TRIED_ON

    @property
    def undo_runbook(self) -> str:
        """The name of the runbook that undoes this one, or an empty string when ``undo`` is a sentence."""
        return self.undo if re.fullmatch(r"[a-z][a-z_]*", self.undo) else ""


def parse_runbook(name: str, node: Node) -> Runbook:
    """Read the front matter of the page ``name``.

    :raises InvalidInput: with everything that is wrong with it.
    """
    parts = _parts(node, _TOP, demanded=_DEMANDED)
    level, reason = _risk(parts["risk"])
    runbook = Runbook(
        name=name,
        title=parts["title"].text(),
        title_zh=parts["title_zh"].text(),
        purpose=parts["purpose"].text(),
        purpose_zh=parts["purpose_zh"].text(),
        when=parts["when"].text(),
        inputs={key: _input(key, child) for key, child in parts["inputs"].mapping().items()},
        scope=parts["scope"].choice(SCOPES, SCOPES[0]),
        changes=parts["changes"].text(),
        preconditions=parts["preconditions"].texts(),
        risk=level,
        risk_reason=reason,
        lock=parts["lock"].choice(LOCKS, LOCKS[0]),
        undo=parts["undo"].text(),
        expected=parts["expected"].seconds(),
        example_on=parts["example_on"].text() or _TRIED_ON,
    )
    if runbook.scope == "any" and parts["example_on"].value is not None:
        parts["example_on"].reject("only a runbook that works on one environment or host has an example on one")
    node.finish()
    return runbook


def _parts(node: Node, accepted: tuple[str, ...], demanded: tuple[str, ...]) -> dict[str, Node]:
    """All accepted keys, an absent one as a node of nothing; a demanded one that is absent is an error."""
    found = node.mapping(accepted)
    for key in demanded:
        if key not in found:
            node.reject(f"'{key}' is missing")
    return {key: found.get(key, node.child(key, None)) for key in accepted}


def _risk(node: Node) -> tuple[str, str]:
    if node.value is None:
        return RISKS[0], ""
    match = _RISK.fullmatch(node.text().strip())
    if match and match["level"] in RISKS:
        return match["level"], match["reason"]
    node.reject("expected a level and a reason", f"write it like 'low, because …'; levels: {', '.join(RISKS)}")
    return RISKS[0], ""


def _input(name: str, node: Node) -> Input:
    if not re.fullmatch(r"[a-z][a-z_]*", name):
        node.reject(f"'{name}' is not a name for an input", "use lower case letters and underscores")
    parts = _parts(node, _INPUT, demanded=("type", "help"))
    wanted = Input(
        name=name,
        type=parts["type"].choice(TYPES, "text"),
        help=parts["help"].text(),
        required=parts["required"].boolean(),
        example=parts["example"].text(),
        choices=parts["choices"].texts(),
        least=None if parts["least"].value is None else parts["least"].integer(),
    )
    if (wanted.type == "choice") != bool(wanted.choices):
        node.reject("'choices' and 'type: choice' belong together")
    if wanted.required and parts["default"].value is not None:
        node.reject("an input that is required has no default")
    return replace(wanted, default=wanted.read(parts["default"]))


def _read_boolean(_: Input, node: Node) -> bool:
    """Also the words, because ``-e name=true`` arrives as text."""
    if isinstance(node.value, str):
        node = replace(node, value=_WORDS.get(node.value.lower(), node.value))
    return node.boolean()


def _read_time(_: Input, node: Node) -> str:
    text = node.text()
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        node.reject(f"'{text}' is not a time", _TIME_FORM)
        return ""
    if moment.tzinfo is None:
        node.reject(f"'{text}' does not say its time zone", _TIME_FORM)
        return ""
    return moment.astimezone(datetime.UTC).isoformat()


def _read_choice(wanted: Input, node: Node) -> str:
    return node.choice(wanted.choices)


_READERS: dict[str, Callable[[Input, Node], Any]] = {
    "stack": lambda _, node: node.text(pattern=STACK, hint="the name of a stack", do="give one, such as odoo18"),
    "release": lambda _, node: node.text(
        pattern=RELEASE, hint="a release", do="give its tag, such as sha-19b9b98: sha- and 7 to 40 hex digits"
    ),
    "text": lambda _, node: node.text(),
    "integer": lambda wanted, node: node.integer(least=wanted.least),
    "boolean": _read_boolean,
    "choice": _read_choice,
    "duration": lambda _, node: node.seconds(),
    "database": lambda _, node: node.text(pattern=DATABASE, hint="the name of a database"),
    "time": _read_time,
}
TYPES = tuple(_READERS)
