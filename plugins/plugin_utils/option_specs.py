"""Declared keys as Ansible describes options: documented for ansible-doc, and as the argument specs of roles."""

from __future__ import annotations

from typing import Any

from ..module_utils.model.vocabulary import Key, Keys

_TYPES = {"mapping": "dict", "list": "list", "true | false": "bool"}


def documented(keys: Keys) -> dict[str, Any]:
    """Keys as ``suboptions`` of a plugin's documentation, with defaults in words."""
    return {key.name: _documented(key) for key in keys.values()}


def _documented(key: Key) -> dict[str, Any]:
    found = _option(key)
    if key.default:
        found["default"] = key.default
    if key.keys:
        found["suboptions"] = documented(key.keys)
    return found


def specified(keys: Keys) -> dict[str, Any]:
    """Keys as ``options`` of a role's argument spec. Defaults stand in words only: Ansible would check them."""
    return {key.name: _specified(key) for key in keys.values()}


def _specified(key: Key) -> dict[str, Any]:
    found = _option(key)
    if key.default:
        found["description"].append(f"When left out {key.default}.")
    if key.keys:
        found["options"] = specified(key.keys)
    return found


def _option(key: Key) -> dict[str, Any]:
    kind = _type(key)
    found: dict[str, Any] = {"description": _sentences(key), "type": kind}
    if kind == "list":
        found["elements"] = "raw"
    return {**found, "required": True} if key.required else found


def _type(key: Key) -> str:
    """What Ansible may hold the value to. With several forms that is nothing, and the parser tells them apart."""
    if key.forms in _TYPES:
        return _TYPES[key.forms]
    return "raw" if {"mapping", "list"} & set(key.forms.split(" | ")) else "str"


def _sentences(key: Key) -> list[str]:
    told = [f"{key.says}."]
    if key.keys and key.named:
        told.append("Each has a name of yours, and below it these keys.")
    if key.forms not in ("text", *_TYPES):
        told.append(f"Written as {key.forms.replace(' | ', ' or ')}.")
    told += [key.note] if key.note else []
    return [sentence.replace("`", "'") for sentence in told]  # marks that only Markdown reads
