"""Read a plain tree (from YAML or JSON) into typed values, collecting every error with its path and line.

A :class:`Node` is a value, the path to it and the line it stands on. Accessors never raise for a bad value: they add
an error to the shared list and return a harmless default, so that one reading reports everything that is wrong.
Call :meth:`Node.finish` at the end: it raises :class:`InvalidInput` when anything was collected.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .errors import InvalidInput, OpsError

Lines = Mapping[tuple[str | int, ...], int]

# The Compose specification's chapters on durations and byte values; fractions as its implementation takes them.
_DURATION = re.compile(r"(?:\d{1,12}(?:\.\d{1,12})?(?:us|ms|s|m|h)){1,9}")
_DURATION_PART = re.compile(r"(?P<n>[\d.]+)(?P<unit>[a-z]+)")
_DURATION_FACTOR = {"us": 1, "ms": 1_000, "s": 1_000_000, "m": 60_000_000, "h": 3600_000_000}
_SIZE = re.compile(r"(?P<n>\d{1,18}(?:\.\d{1,12})?)(?P<unit>[bkmg]?)b?", re.IGNORECASE)
_LARGEST = 2**63 - 1  # what the engine, and every JSON reader on the way, can hold
# Half of a character, and the character that ends every C string: no file, label or engine takes them.
_UNSAYABLE = re.compile("[\x00\ud800-\udfff]")
_SIZE_FACTOR = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3}


@dataclass(frozen=True)
class Node:
    """One value of a document with its place. ``lines`` maps paths to 1-based lines; one without takes its parent's."""

    value: Any
    source: str
    path: tuple[str | int, ...] = ()
    lines: Lines = field(default_factory=dict)
    errors: list[OpsError] = field(default_factory=list)

    @property
    def where(self) -> str:
        """``file.yml:12 services.web.image``"""
        return f"{self.source}{self._line()} {self.dotted}".rstrip()

    @property
    def dotted(self) -> str:
        """``services.web.ports[0]``"""
        text = ""
        for part in self.path:
            text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
        return text

    def _line(self) -> str:
        for length in range(len(self.path), -1, -1):
            line = self.lines.get(self.path[:length])
            if line:
                return f":{line}"
        return ""

    def reject(self, what: str, do: str = "") -> None:
        """Collect one error about this value."""
        self.errors.append(OpsError(what, where=self.where, do=do))

    def finish(self) -> None:
        """Raise :class:`InvalidInput` with all errors collected below this document, if any."""
        if self.errors:
            raise InvalidInput(self.errors)

    # -- navigation ------------------------------------------------------------------------------------------------

    def child(self, key: str | int, value: Any) -> Node:
        """A value below this one."""
        return Node(value, self.source, (*self.path, key), self.lines, self.errors)

    def mapping(
        self,
        accepted: Iterable[str] | None = None,
        *,
        explained: Mapping[str, tuple[str, str]] | None = None,
        passed_over: str = "",
    ) -> dict[str, Node]:
        """The entries of a mapping. Keys outside ``accepted`` are refused, naming the nearest accepted one.

        ``explained`` are refused keys with a reason of their own and what to do; keys that begin with ``passed_over``
        are nobody's business.
        """
        if self.value is None:
            return {}
        if not isinstance(self.value, Mapping):
            self.reject(f"expected a mapping, found {_kind(self.value)}")
            return {}
        nodes: dict[str, Node] = {}
        known = None if accepted is None else tuple(accepted)
        for key, value in self.value.items():
            if key is None or isinstance(key, bool):  # its text in JSON is not its text in Python
                self.reject(f"the key {str(key).lower()} is {_kind(key)}, not text", "write it in quotation marks")
                continue
            if _UNSAYABLE.search(str(key)):
                self.reject("a key holds a character that cannot be said", "write it without NUL and lone surrogates")
                continue
            node = self.child(str(key), value)
            if known is not None and str(key) not in known:
                if explained and str(key) in explained:
                    why, do = explained[str(key)]
                    node.reject(f"'{key}' is refused on purpose: {why}", do)
                elif not (passed_over and str(key).startswith(passed_over)):
                    node.reject(f"'{key}' is not accepted here", _nearest(str(key), known))
                continue
            nodes[str(key)] = node
        return nodes

    def items(self) -> Iterator[Node]:
        """The entries of a sequence."""
        if self.value is None:
            return
        if not isinstance(self.value, (list, tuple)):
            self.reject(f"expected a list, found {_kind(self.value)}")
            return
        for index, value in enumerate(self.value):
            yield self.child(index, value)

    # -- scalars ---------------------------------------------------------------------------------------------------

    def text(self, default: str = "", *, pattern: str = "", hint: str = "", do: str = "") -> str:
        """A string, or a number's text. ``pattern`` must match the whole; what does not is refused: "is not <hint>"."""
        value = self.value
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            self.reject(f"expected text, found {_kind(value)}")
            return default
        text = str(value)
        if _UNSAYABLE.search(text):
            self.reject("holds a character that cannot be said", "write it without NUL and lone surrogates")
            return default
        if pattern and not re.fullmatch(pattern, text):
            self.reject(f"'{text}' is not {hint or 'of the form ' + pattern}", do)
            return default
        return text

    def choice(self, accepted: Iterable[str], default: str = "") -> str:
        """One of a few words."""
        known = tuple(accepted)
        text = self.text(default)
        if text not in known:
            self.reject(f"'{text}' is not one of {', '.join(known)}", _nearest(text, known))
            return default
        return text

    def boolean(self, default: bool = False) -> bool:
        """true or false, never a word that looks like it."""
        if self.value is None:
            return default
        if not isinstance(self.value, bool):
            self.reject(f"expected true or false, found {_kind(self.value)}")
            return default
        return self.value

    def integer(self, default: int = 0, *, least: int | None = None, most: int | None = None) -> int:
        """A whole number, also when written as text."""
        value = self.value
        if value is None:
            return default
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            self.reject(f"expected a whole number, found {_kind(value)}")
            return default
        if (least is not None and value < least) or value > (_LARGEST if most is None else most):
            self.reject(f"{value} is outside {least if least is not None else ''}..{most if most is not None else ''}")
            return default
        return value

    def number(self, default: float = 0.0) -> float:
        """A finite number, also when written as text."""
        value = self.value
        if value is None:
            return default
        if isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value):
            value = float(value)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST:
            self.reject(f"expected a number, found {_kind(value)}")
            return default
        return float(value)

    def texts(self, *, split: str = "") -> tuple[str, ...]:
        """A list of strings; with ``split`` a single string is cut at that mark (an interpolated list)."""
        if split and isinstance(self.value, str):
            return tuple(part.strip() for part in self.value.split(split) if part.strip())
        return tuple(node.text() for node in self.items())

    def seconds(self, default: float = 0.0) -> float:
        """A duration such as ``1m30s``, in seconds (the Compose notation)."""
        if self.value is None:
            return default
        if isinstance(self.value, (int, float)) and not isinstance(self.value, bool) and 0 <= self.value <= _LARGEST:
            return float(self.value)
        if not _DURATION.fullmatch(str(self.value)):
            self.reject(f"'{self.value}' is not a duration", "write it like 30s, 1m30s or 500ms")
            return default
        parts = _DURATION_PART.finditer(str(self.value))
        return float(sum(Fraction(part["n"]) * _DURATION_FACTOR[part["unit"]] for part in parts) / 1_000_000)

    def size(self, default: int = 0) -> int:
        """A size such as ``256m``, in bytes (the Compose notation)."""
        if self.value is None:
            return default
        match = None if isinstance(self.value, bool) else _SIZE.fullmatch(str(self.value))
        size = int(Fraction(match["n"]) * _SIZE_FACTOR[match["unit"].lower()]) if match else -1
        if not 0 <= size <= _LARGEST:
            self.reject(f"'{self.value}' is not a size", "write it like 512m or 1g")
            return default
        return size


def nearest(word: str, known: Iterable[str], *, likeness: float = 0.5) -> str:
    """The accepted word most like this one, or an empty string."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=likeness)
    return matches[0] if matches else ""


def _nearest(word: str, known: tuple[str, ...]) -> str:
    guess = nearest(word, known)
    return f"did you mean '{guess}'?" if guess else f"accepted: {', '.join(sorted(known))}"


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {bool: "true/false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a mapping"}
    return names.get(type(value), type(value).__name__)
