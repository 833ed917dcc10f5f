"""Who may say what: an environment's allowed_signers, held to a strict form of OpenSSH's (ssh-keygen(1)).

Each line is one person or host with one key and the kinds of statement that it may sign. What OpenSSH would also take
is refused: patterns and lists of names, authorities, a key that may sign anything, and one key under two names. Then
two names are two keys, and "somebody else" means something.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .document import Node
from .statement import KINDS, namespace_of

_NAME = r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,254}"
_KEY = r"(?P<type>(?:sk-)?(?:ssh|ecdsa)-[A-Za-z0-9@.-]+) (?P<blob>[A-Za-z0-9+/]+={0,2})"
_LINE = re.compile(rf"(?P<name>{_NAME}) (?P<options>\S+) {_KEY}(?: .*)?")
_OPTION = re.compile(r'(?P<name>[a-z-]+)="(?P<value>[^"]*)"(?:,|$)')
_TIME = re.compile(r"\d{8}(?:\d{4}(?:\d{2})?)?Z")  # without the Z, each machine would read it on its own clock
_FORM = 'write it as: name namespaces="approved@seisei-ops,closed@seisei-ops" ssh-ed25519 AAAA…'
_NAMESPACES = {namespace_of(kind): kind for kind in KINDS}


@dataclass(frozen=True)
class Signer:
    """One line: whose key it is, the kinds it may sign, and the key's fingerprint (``SHA256:…``)."""

    name: str
    kinds: tuple[str, ...]
    fingerprint: str


def is_name(text: str) -> bool:
    """Whether a signer can be called so; what cannot is not given to any program either."""
    return re.fullmatch(_NAME, text) is not None


def parse_signers(node: Node) -> tuple[Signer, ...]:
    """The signers of an allowed_signers file. Every line that is not in our form is refused with its number."""
    found: list[Signer] = []
    for number, line in _lines(node.text()):
        match = _LINE.fullmatch(line)
        if not match:
            node.reject(f"line {number} is not one name, its options and its key", _FORM)
            continue
        kinds = _kinds(node, number, match["options"])
        mark = fingerprint(match["blob"])
        if not mark:
            node.reject(f"line {number}: the key of {match['name']} is not whole", "copy the line of the .pub file")
            continue
        owner = next((one.name for one in found if one.fingerprint == mark), match["name"])
        if owner != match["name"]:
            node.reject(f"line {number}: {match['name']} has the key of {owner}", "one key is one person or host")
        found.append(Signer(match["name"], kinds, mark))
    return tuple(found)


def parse_revoked(node: Node) -> str:
    """A list of revoked public keys, one a line, as ``ssh-keygen -r`` takes it."""
    for number, line in _lines(node.text()):
        match = re.fullmatch(rf"{_KEY}(?: .*)?", line)
        if not match or not fingerprint(match["blob"]):
            node.reject(f"line {number} is not a public key", "copy the line of the .pub file, no name before it")
    return node.text()


def revoked_fingerprints(text: str) -> frozenset[str]:
    """The fingerprints of a list of revoked keys."""
    return frozenset(fingerprint(line.split()[1]) for _, line in _lines(text) if len(line.split()) > 1)


def fingerprint(blob: str) -> str:
    """A public key's fingerprint as ``ssh-keygen -l`` tells it; empty when the text is no key."""
    try:
        raw = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=") if raw else ""


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()


def _kinds(node: Node, number: int, text: str) -> tuple[str, ...]:
    """The kinds behind ``namespaces=``; without that option a key could sign anything, so it is demanded."""
    parts = list(_OPTION.finditer(text))
    options = {part["name"]: part["value"] for part in parts}
    understood = "".join(part[0] for part in parts) == text and len(parts) == len(options)
    if not understood or set(options) - {"namespaces", "valid-after", "valid-before"}:
        node.reject(f"line {number}: its options are not understood: {text}", _FORM)
        return ()
    for name in ("valid-after", "valid-before"):
        if name in options and not _TIME.fullmatch(options[name]):
            node.reject(f"line {number}: {name} is '{options[name]}'", "write it in UTC, such as 20270101Z")
    spaces = [space for space in options.get("namespaces", "").split(",") if space]
    unknown = [space for space in spaces if space not in _NAMESPACES]
    if unknown or not spaces:
        what = f"'{unknown[0]}' is nothing to sign" if unknown else "it does not say what the key may sign"
        node.reject(f"line {number}: {what}", f"name some of: {', '.join(_NAMESPACES)}")
    return tuple(_NAMESPACES[space] for space in spaces if space in _NAMESPACES)
