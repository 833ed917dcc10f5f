"""What the tests of the core share: cases from files, and stacks made of a few lines."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from plugins.module_utils.gateway.stack_file import read_text
from plugins.module_utils.model.document import Node
from plugins.module_utils.model.errors import InvalidInput, OpsError
from plugins.module_utils.model.interpolation import interpolate
from plugins.module_utils.model.stack import Stack, parse_stack

CASES = Path(__file__).parent / "cases"
VARIABLES = {"REGISTRY": "registry.lab:5000", "HOSTS": "shop.lab,www.shop.lab"}


def cases(name: str) -> list[Any]:
    """The cases of a file, for ``pytest.mark.parametrize`` with ``ids=case_name``."""
    found: list[Any] = yaml.safe_load((CASES / f"{name}.yml").read_text())
    return found


def case_name(case: dict[str, Any]) -> str:
    """A case's own name."""
    return str(case["name"])


def around(body: str, *, image: str = "registry/web:1", declares: str = "") -> str:
    """A stack file of one service ``web`` whose further keys begin in line 5. A health check is added if need be."""
    text = f"name: shop\nservices:\n  web:\n    image: {image!r}\n"
    text += "".join(f"    {line}\n" for line in body.splitlines())
    text += "" if re.search("^healthcheck:", body, re.MULTILINE) else "    healthcheck: {test: go}\n"
    return text + (declares + "\n" if declares else "")


def read_stack(text: str, variables: dict[str, str] | None = None) -> Stack:
    """A stack file as the controller reads it."""
    document = read_text(text, "stack.yml")
    tree = interpolate(document, VARIABLES if variables is None else variables)
    document.finish()
    return parse_stack(Node(tree, document.source, (), document.lines))


def told(error: OpsError) -> list[str]:
    """Every error of one reading, each as the operator sees it."""
    return [str(one) for one in error.errors] if isinstance(error, InvalidInput) else [str(error)]
