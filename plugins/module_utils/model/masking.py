"""Take secrets out of text and data before a person or a file sees them.

The first line of defence is that secrets never get into messages, results and diffs; this is the second one. It goes by
the names of things, so it hides too much rather than too little when a name sounds like a secret. Where the values are
at hand, a :class:`Veil` goes by them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

MASK = "********"
_SHORTEST = 6

_SECRET_WORD = (
    r"(?:pass(?:word|wd|phrase)|secret|token|credentials?|authorization|cookie"
    r"|(?:api|access|secret|private|encryption|signing)[_-]?key)"
)
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SECRET_KEY = re.compile(rf"(?:^|[_\-. ]){_SECRET_WORD}s?$", re.IGNORECASE)

_VALUE = r"""("[^"]*"|'[^']*'|[^\s,;&"']+)"""
_TEXT_RULES = (
    # A whole private key, whatever its kind.
    (
        re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        rf"\1{MASK}\2",
    ),
    # scheme://user:password@host
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/@]+@", re.IGNORECASE), rf"\1:{MASK}@"),
    (
        re.compile(r"\b(authorization[\"']?\s*[:=]\s*[\"']?(?:(?:bearer|basic)\s+)?)[^\s\"']+", re.IGNORECASE),
        rf"\1{MASK}",
    ),
    (re.compile(r"\b(bearer\s+)[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE), rf"\1{MASK}"),
    # NAME_PASSWORD=value, --password=value
    (re.compile(rf"\b([\w-]*{_SECRET_WORD}\s*=\s*){_VALUE}", re.IGNORECASE), rf"\1{MASK}"),
    # "password": "value", as in JSON and in printed Python
    (re.compile(rf"""(["'][\w-]*{_SECRET_WORD}["']\s*:\s*){_VALUE}""", re.IGNORECASE), rf"\1{MASK}"),
    # A line of YAML, perhaps in a diff. Inside a sentence a colon ends a clause: "odoo18-database-password: missing".
    (re.compile(rf"(?m)^([ +-]*[\w-]*{_SECRET_WORD}:[ ]+)\S+$", re.IGNORECASE), rf"\1{MASK}"),
)


def sounds_secret(key: str) -> bool:
    """Whether a mapping's key names a secret: ``db_password``, ``apiKey``, ``Authorization``."""
    return _SECRET_KEY.search(_CAMEL.sub("_", key)) is not None


def mask_text(text: str) -> str:
    """The text without the values that stand beside secret-sounding names, in addresses, and without private keys."""
    for pattern, replacement in _TEXT_RULES:
        text = pattern.sub(replacement, text)
    return text


def mask_tree(value: Any) -> Any:
    """A copy of plain data as JSON can hold it, its secrets masked. True, false and nothing are no secrets."""
    if isinstance(value, Mapping):
        return {str(key): _mask_entry(str(key), entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_tree(entry) for entry in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return mask_text(str(value))


def _mask_entry(key: str, value: Any) -> Any:
    if sounds_secret(key) and value is not None and not isinstance(value, bool):
        return MASK
    return mask_tree(value)


class Veil:
    """Hides values that are known to be secrets, wherever they stand in text and plain data.

    Values of fewer than six characters are let be: they would take words out of every line.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        known = {form for value in values for form in (value, repr(value)[1:-1], json.dumps(value)[1:-1])}
        # The longest first: one that contains another is hidden whole.
        self._values = sorted((one for one in known if len(one) >= _SHORTEST), key=len, reverse=True)

    def over(self, value: Any) -> Any:
        """A copy of plain data without them; keys stay."""
        if isinstance(value, str):
            for secret in self._values:
                value = value.replace(secret, MASK)
            return value
        if isinstance(value, Mapping):
            return {key: self.over(entry) for key, entry in value.items()}
        return [self.over(entry) for entry in value] if isinstance(value, list | tuple) else value


def veil_for(given: Mapping[str, Any]) -> Veil:
    """A veil over what a request holds of secrets: its ``secrets``, and the password of its ``registry_auth``."""
    auth = json.loads(given.get("registry_auth") or "{}")
    return Veil([*map(str, (given.get("secrets") or {}).values()), str(auth.get("password", ""))])
