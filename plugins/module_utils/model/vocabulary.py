"""A declared key: told once, and from there come the parser, the reference page, ansible-doc and the argument specs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .document import Node, nearest

EXTENSION = "x-"


@dataclass(frozen=True)
class Key:
    """One accepted key of a mapping.

    ``forms`` says what may stand behind it, ``says`` what it does, in one sentence without a full stop. ``default`` is
    in words; empty means that nothing is said. ``note`` tells where we differ from Compose, and why. ``example`` is
    the whole entry as a file has it. ``read`` makes the value of a dataclass's ``field`` (its name when empty); a
    reader that is None is called by hand. ``keys`` are those of a mapping behind it; ``named`` says that its entries
    are named by the author and each has these keys.
    """

    name: str
    forms: str
    says: str
    read: Callable[[Node], Any] | None = None
    example: str = ""
    default: str = ""
    note: str = ""
    field: str = ""
    required: bool = False
    keys: Keys | None = None
    named: bool = False


@dataclass(frozen=True)
class Refusal:
    """A key that people look for and do not get: ``why``, and what to ``do`` instead."""

    why: str
    do: str


_MISPLACED = {"x-ops": Refusal("x-ops belongs to the stack, not to a part of it", "move it to the top of the file")}


class Keys(dict[str, Key]):
    """The keys of one mapping, in the order a reader meets them.

    ``refused`` are those refused on purpose; ``notes`` says whether keys that begin with ``x-`` are the author's own.
    """

    def __init__(self, *keys: Key, refused: Mapping[str, Refusal] | None = None, notes: bool = True) -> None:
        super().__init__({key.name: key for key in keys})
        self.refused = dict(refused or {})
        self.notes = notes
        self._explained = {name: (refusal.why, refusal.do) for name, refusal in {**_MISPLACED, **self.refused}.items()}

    def of(self, node: Node) -> dict[str, Node]:
        """The entries of a mapping. A key that is neither known nor a note is refused."""
        if not self.notes:
            return node.mapping(self)
        self._refuse_misspelt(node)
        return node.mapping(self, explained=self._explained, passed_over=EXTENSION)

    def read(self, node: Node) -> dict[str, Any]:
        """What the keys' readers make of a mapping. Nothing behind a key is as if the key were not there."""
        entries = [(self[name], value) for name, value in self.of(node).items() if value.value is not None]
        return {key.field or key.name: key.read(value) for key, value in entries if key.read}

    def _refuse_misspelt(self, node: Node) -> None:
        ours = [name for name in self if name.startswith(EXTENSION)]
        for name in node.value if ours and isinstance(node.value, Mapping) else ():
            guess = "" if name in self else nearest(str(name), ours, likeness=0.8)
            if guess and str(name).startswith(EXTENSION):
                node.child(str(name), None).reject(
                    f"'{name}' would be passed over as a note of yours", f"write '{guess}', or name it less alike"
                )
