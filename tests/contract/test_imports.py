"""Arrows point inward: module -> apply -> plan -> model, and only gateways touch the world."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.imports import violations
from tests.contract.tree import lines


def test_imports_point_inward(root: Path) -> None:
    assert lines(violations(root)) == ""


def test_there_is_something_to_look_at(root: Path) -> None:
    for room in ("module_utils/model", "module_utils/plan", "module_utils/gateway", "modules"):
        assert list((root / "plugins" / room).glob("*.py")), room


WRONG = {
    "model takes yaml": ("module_utils/model/a.py", "import yaml"),
    "model looks at a plan": ("module_utils/model/a.py", "from ..plan import stacks"),
    "plan takes a gateway": ("module_utils/plan/a.py", "from ..gateway.engine import Engine"),
    "plan takes ansible": ("module_utils/plan/a.py", "from ansible.module_utils.basic import AnsibleModule"),
    "plan opens a socket": ("module_utils/plan/a.py", "import socket"),
    "model starts a program": ("module_utils/model/a.py", "from subprocess import run"),
    "gateway takes a plan": ("module_utils/gateway/a.py", "from ..plan.stacks import plan"),
    "gateway takes ansible's collection name": (
        "module_utils/gateway/a.py",
        "from ansible_collections.seisei.ops.plugins.module_utils.plan import stacks",
    ),
    "gateway takes apply": ("module_utils/gateway/a.py", "from ..apply import apply"),
    "apply takes an SDK": ("module_utils/apply.py", "import docker.errors"),
    "apply asks an address": ("module_utils/apply.py", "import urllib.request"),
    "apply asks an address by the other spelling": ("module_utils/apply.py", "from urllib import request"),
    "apply starts a program": ("module_utils/apply.py", "import os\nos.system('true')"),
    "module takes an SDK": ("modules/a.py", "import boto3"),
    "module takes a module": ("modules/a.py", "from .b import main"),
    "action takes a module": ("action/a.py", "from ..modules.b import main"),
    "action hides an import": ("action/a.py", "import importlib\nimportlib.import_module('psycopg')"),
    "plugin_utils take an SDK inside a function": ("plugin_utils/a.py", "def f():\n    import requests"),
}
RIGHT = {
    "model takes the library": ("module_utils/model/a.py", "import re\nfrom dataclasses import dataclass"),
    "model takes model": ("module_utils/model/a.py", "from .errors import OpsError"),
    "plan takes model": ("module_utils/plan/a.py", "from ..model import stack\nfrom . import edge"),
    "gateway takes an SDK": (
        "module_utils/gateway/a.py",
        "import docker\nimport subprocess\nfrom ..model import stack",
    ),
    "module takes all below": (
        "modules/a.py",
        "from ansible.module_utils.basic import AnsibleModule\nfrom ..module_utils.apply import apply",
    ),
    "apply parses an address": ("module_utils/apply.py", "from urllib.parse import urlsplit"),
}


def _write(tree: Path, file: str, text: str) -> None:
    path = tree / "plugins" / file
    path.parent.mkdir(parents=True)
    path.write_text(text)


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_import_is_seen(tmp_path: Path, case: str) -> None:
    _write(tmp_path, *WRONG[case])
    [found] = violations(tmp_path)
    assert found.startswith(f"plugins/{WRONG[case][0]}:")


@pytest.mark.parametrize("case", RIGHT)
def test_a_right_import_passes(tmp_path: Path, case: str) -> None:
    _write(tmp_path, *RIGHT[case])
    assert violations(tmp_path) == []
