"""Read YAML from the checkout, remembering on which line each value stands."""

from __future__ import annotations

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


class _Loader(yaml.SafeLoader):
    """Times stay the text that people wrote: a tree travels as JSON, which knows no times."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_text(text: str, name: str, *, first_line: int = 1) -> Node:
    """The same for text that was read already and begins in line ``first_line`` of the file ``name``.

    Raises OpsError when it is not YAML, with the line.
    """
    before = first_line - 1
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        lines: dict[tuple[str | int, ...], int] = {}
        if root is not None:
            _refuse_twice(root, name, before)
            _note_lines(root, (), lines, set())
        value = loader.construct_document(root) if root is not None else {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1 + before}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise OpsError(f"is not YAML: {problem}", where=f"{name}{line}", do="mend that line") from error
    finally:
        loader.dispose()
    return Node(value, name, (), {path: line + before for path, line in lines.items()})


def _note_lines(
    node: Any, path: tuple[str | int, ...], lines: dict[tuple[str | int, ...], int], open_: set[int]
) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in open_:  # an alias that contains itself
        return
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            merged = key.tag == "tag:yaml.org,2002:merge"
            _note_lines(value, path if merged else (*path, str(key.value)), lines, open_ | {id(node)})
            if not merged:
                lines[(*path, str(key.value))] = key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_lines(value, (*path, index), lines, open_ | {id(node)})


def _refuse_twice(node: Any, name: str, before: int) -> None:
    """A key said twice is an error: YAML would silently take the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if str(key.value) in seen and key.tag != "tag:yaml.org,2002:merge":
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
