"""Names in stack files: resolved, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.model.document import Node
from plugins.module_utils.model.interpolation import interpolate


def resolved(value: Any) -> Any:
    node = Node(value, "f.yml")
    found = interpolate(node, {"HOST": "shop.lab", "PORT": "80", "EMPTY": ""})
    node.finish()
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("http://${HOST}:${PORT}/", "http://shop.lab:80/"),
        ("x${EMPTY}y", "xy"),
        ("app:${RELEASE}", "app:${RELEASE}"),
        ("$$HOME", "$HOME"),
        ("$${HOST}", "${HOST}"),
        ("$$$${HOST}", "$${HOST}"),
        ("$$${HOST}", "$shop.lab"),
        ("5 $ a day", "5 $ a day"),
        ({"a": ["${HOST}", 7, True, None]}, {"a": ["shop.lab", 7, True, None]}),
    ],
)
def test_names_are_resolved(text: Any, found: Any) -> None:
    assert resolved(text) == found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("${HOSTS}", "variable 'HOSTS' has no value in this environment. Next: did you mean 'HOST'?"),
        ("${ZZZ}", "variable 'ZZZ' has no value in this environment. Next: declare it under ops_environment.variables"),
        ("$HOST", "'$HOST' is not accepted. Next: write ${NAME}, or $$ for a dollar sign"),
        ("${HOST:-x}", "'${HOST:-x}' is not accepted"),
        ("${HOST", "'${HOST' is not accepted"),
        ("${}", "'${}' is not accepted"),
    ],
)
def test_anything_else_is_refused(text: str, says: str) -> None:
    node = Node({"a": [text]}, "f.yml")
    interpolate(node, {"HOST": "shop.lab"})
    (error,) = node.errors
    assert str(error).startswith(f"f.yml a[0]: {says}")
