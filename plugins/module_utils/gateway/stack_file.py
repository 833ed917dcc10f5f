"""Read YAML from the checkout, remembering on which line each value stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ..model.document import Node
from ..model.errors import OpsError


def read_document(path: Path, shown: str = "") -> Node:
    """The file as a :class:`Node` with lines. ``shown`` is how errors name the file.

    Raises OpsError when the file is missing or is not YAML, with the line.
    """
    name = shown or str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise OpsError(
            f"cannot be read: {error.strerror}", where=name, do="check the name and the permissions"
        ) from error
    return read_text(text, name)


_TAG = "tag:yaml.org,2002:"
_TAGS = {f"{_TAG}{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq", "merge", "value")}
_MOST_VALUES = 20_000
_LONGEST_NUMBER = 64


def _number(read: Any) -> Any:
    def construct(loader: Any, node: yaml.ScalarNode) -> Any:
        text = loader.construct_scalar(node)
        value = read(loader, node) if len(text) < _LONGEST_NUMBER else text
        return value if str(value) == text else text

    return construct


def _as_compose_reads(base: Any) -> Any:
    """A loader that reads plain words as Compose does, which follows YAML 1.2, and keeps what people wrote.

    Times stay text: a tree travels as JSON, which knows no times. Only true and false are truth values: ``no`` is a
    restart policy. A number whose text would come out differently stays text: version 1.10 is not 1.1, file mode 010
    is not 8, and port 22:22 is not 1342, as YAML 1.1 has it.
    """
    loader: Any = type("_Loader", (base,), {})
    loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in pairs if tag not in (f"{_TAG}timestamp", f"{_TAG}bool")]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    loader.add_implicit_resolver(f"{_TAG}bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF"))
    loader.add_constructor(f"{_TAG}int", _number(yaml.SafeLoader.construct_yaml_int))
    loader.add_constructor(f"{_TAG}float", _number(yaml.SafeLoader.construct_yaml_float))
    return loader


# The one in C takes a sixth of the time, where PyYAML has it; the other one says better what is wrong.
_QUICK = _as_compose_reads(getattr(yaml, "CSafeLoader", yaml.SafeLoader))
_TELLING = _as_compose_reads(yaml.SafeLoader)


def read_text(text: str, name: str, *, first_line: int = 1) -> Node:
    """The same for text that was read already and begins in line ``first_line`` of the file ``name``.

    Raises OpsError when it is not YAML, with the line.
    """
    try:
        return _read(text, name, first_line - 1, _QUICK)
    except (yaml.YAMLError, ValueError, LookupError):
        return _read_or_tell(text, name, first_line - 1)


def _read_or_tell(text: str, name: str, before: int) -> Node:
    try:
        return _read(text, name, before, _TELLING)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1 + before}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise OpsError(f"is not YAML: {problem}", where=f"{name}{line}", do="mend that line") from error
    except (ValueError, LookupError) as error:  # what PyYAML makes of `!!int x`
        raise OpsError("a value is not of the kind its tag says", where=name, do="write it without !!") from error


def _read(text: str, name: str, before: int, kind: Any) -> Node:
    loader = kind(text)
    try:
        root = loader.get_single_node()
        lines: dict[tuple[str | int, ...], int] = {}
        if root is not None:
            lines = _Places(name, before).of(root)
            _refuse_twice(root, name, before)
        value = loader.construct_document(root) if root is not None else {}
    except RecursionError as error:
        raise OpsError("is nested too deeply", where=name, do="write it in fewer levels") from error
    finally:
        loader.dispose()
    return Node(value, name, (), lines)


class _Places:
    """On which line each value of one document stands. ``before`` is the number of lines before it in its file."""

    def __init__(self, name: str, before: int) -> None:
        self.name = name
        self.before = before
        self.lines: dict[tuple[str | int, ...], int] = {}
        self._seen = 0

    def of(self, root: Any) -> dict[tuple[str | int, ...], int]:
        """The line of every path.

        Raises OpsError for a document that contains itself, or grows without end through its aliases.
        """
        self._note(root, (), frozenset())
        return self.lines

    def _line(self, node: Any) -> int:
        return int(node.start_mark.line) + 1 + self.before

    def _refuse(self, node: Any, what: str, do: str) -> None:
        raise OpsError(what, where=f"{self.name}:{self._line(node)}", do=do)

    def _note(self, node: Any, path: tuple[str | int, ...], above: frozenset[int]) -> None:
        self._seen += 1
        if self._seen > _MOST_VALUES:
            self._refuse(node, f"has more than {_MOST_VALUES} values", "do not repeat aliases within aliases")
        if node.tag not in _TAGS:
            self._refuse(node, f"the tag {node.tag.replace(_TAG, '!!')} is not accepted", "write plain values")
        if id(node) in above:
            self._refuse(node, "a value contains itself", "write it without its own alias")
        self.lines.setdefault(path, self._line(node))
        above |= {id(node)}
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                merged = key.tag == f"{_TAG}merge"
                self._note(value, path if merged else (*path, str(key.value)), above)
                if not merged:
                    self.lines[(*path, str(key.value))] = self._line(key)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._note(value, (*path, index), above)


def _refuse_twice(node: Any, name: str, before: int) -> None:
    """A key said twice is an error: YAML would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if str(key.value) in seen and key.tag != f"{_TAG}merge":
                raise OpsError(
                    f"'{key.value}' stands twice in one mapping",
                    where=f"{name}:{key.start_mark.line + 1 + before}",
                    do="keep one of the two",
                )
            seen.add(str(key.value))
            _refuse_twice(value, name, before)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            _refuse_twice(value, name, before)
