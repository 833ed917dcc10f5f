"""Readers that several keys share: texts, words, pairs, and numbers that may not be nothing."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from .document import Node

_LONGEST_NAME = 64


def text(pattern: str = "", hint: str = "", do: str = "") -> Callable[[Node], str]:
    """A reader of text that matches the whole of ``pattern``."""
    return lambda node: node.text(pattern=pattern, hint=hint, do=do)


def words(node: Node) -> tuple[str, ...]:
    """A list, or text that is cut into words as a shell would."""
    if not isinstance(node.value, str):
        return node.texts()
    try:
        return tuple(shlex.split(node.value))
    except ValueError as error:
        node.reject(f"cannot be split into words: {error}", "close the quotation or write a list")
        return ()


def one_word(text: str) -> str:
    """A name that somebody gave, as one word that can stand in a lock's text, in history and on a terminal."""
    return re.sub(r"[^\w.@+-]", "", text)[:_LONGEST_NAME] or "nobody"


def one_or_more(node: Node) -> tuple[str, ...]:
    """A text or a list of texts."""
    return (node.text(),) if isinstance(node.value, str) else node.texts()


def pairs(node: Node) -> dict[str, str]:
    """A mapping, or a list of ``KEY=value``: the two forms Compose takes for environment, labels and sysctls."""
    if isinstance(node.value, (list, tuple)):
        found: dict[str, str] = {}
        for item in node.items():
            key, mark, value = item.text().partition("=")
            if not key or not mark:
                item.reject(f"'{key}' has no value", f"write {key}=value: nothing is taken from the operator's shell")
            found[key] = value
        return found
    entries = node.mapping()
    for name, entry in entries.items():
        if not name or "=" in name:
            entry.reject(f"'{name}' is not a name", "write it without '='")
    return {key: scalar(value) for key, value in entries.items()}


def scalar(node: Node) -> str:
    """Text that is there and could not be taken for something else."""
    if isinstance(node.value, bool):
        node.reject("true/false is ambiguous as text", f"quote it: '{str(node.value).lower()}'")
        return ""
    if node.value is None:
        node.reject("has no value", "nothing is taken from the operator's shell; write '' for an empty text")
        return ""
    return node.text()


def at_least(least: float, read: Callable[[Node], float], shown: str) -> Callable[[Node], float]:
    """A reader of a limit: ``shown`` is the least in the file's own notation."""

    def limit(node: Node) -> float:
        before, found = len(node.errors), read(node)
        if found < least and len(node.errors) == before:
            fault = "is no limit" if found <= 0 else f"is less than {shown}, the least there can be"
            node.reject(f"{node.value} {fault}", "name one, or leave the key away for the default")
        return found

    return limit
