"""Read YAML on the controller into a plain tree that remembers the line of every value."""

from __future__ import annotations

from typing import Any

import yaml

from ..module_utils.model.document import Node
from ..module_utils.model.errors import OpsError

_Path = tuple[str | int, ...]


class _Constructor(yaml.SafeLoader):
    """Times stay text, as people wrote them: a tree travels as JSON, which knows no times."""


_Constructor.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(text: str, source: str, *, first_line: int = 1) -> Node:
    """The one document in ``text`` as a :class:`Node` named ``source``, whose first line is ``first_line``.

    :raises OpsError: when it is not YAML, or a key stands twice in one mapping (YAML would keep the last silently).
    """
    loader = _Constructor(text)
    try:
        root = loader.get_single_node()
        lines: dict[_Path, int] = {}
        if root is not None:
            _note_lines(root, (), lines, first_line, source)
        value = None if root is None else loader.construct_document(root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{source}:{mark.line + first_line}" if mark else source
        raise OpsError(f"this is not YAML ({error.problem})", where=place, do="correct the line") from error
    finally:
        loader.dispose()
    return Node(value, source, lines=lines)


def _note_lines(node: yaml.Node, path: _Path, lines: dict[_Path, int], first_line: int, source: str) -> None:
    lines.setdefault(path, node.start_mark.line + first_line)
    children: list[tuple[Any, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        children = [(key.value, value) for key, value in node.value]
        for key, _ in node.value:
            place = (*path, str(key.value))
            if place in lines:
                raise OpsError(
                    f"'{key.value}' stands here twice (first in line {lines[place]})",
                    where=f"{source}:{key.start_mark.line + first_line}",
                    do="keep one of them",
                )
            lines[place] = key.start_mark.line + first_line
    elif isinstance(node, yaml.SequenceNode):
        children = list(enumerate(node.value))
    for key, value in children:
        _note_lines(value, (*path, key if isinstance(key, int) else str(key)), lines, first_line, source)
