"""A controller without Ansible: an action as far as the gate looks at it, people with keys, and a ledger in memory."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from plugins.module_utils.model.document import Node
from plugins.module_utils.model.environment import Environment, parse_environment
from plugins.module_utils.model.ledger import LedgerAway, hash_of
from plugins.module_utils.model.stack import Stack
from plugins.module_utils.model.statement import (
    ACCEPTED,
    APPROVED,
    BREAK_GLASS,
    CLOSED,
    REQUESTED,
    VERIFIED,
    WITHDRAWN,
    Signed,
    definition_of,
    namespace_of,
)
from plugins.plugin_utils.estate import load_stack, stack_source

RELEASE, DIGEST = "sha-724f892", "sha256:" + "a" * 64
REASON = "customers cannot upload invoices since noon and the fix is this one"
VARIABLES = {"REGISTRY": "registry.lab:5000", "ENVIRONMENT": "production", "OCR_POSTGRES": "17"}
KINDS: Mapping[str, tuple[str, ...]] = {
    "developer": (REQUESTED, ACCEPTED, APPROVED, BREAK_GLASS, CLOSED, WITHDRAWN),
    "approver": (APPROVED, CLOSED, WITHDRAWN),
    "staging-1": (VERIFIED,),
}


def make_keys(folder: Path, *more: str) -> Path:
    """A key pair for each person and host."""
    for name in (*KINDS, *more):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)]
        subprocess.run(argv, check=True)
    return folder


def allowed_signers(keys: Path) -> str:
    """Who may sign what."""
    lines = []
    for name, kinds in KINDS.items():
        public = (keys / f"{name}.pub").read_text(encoding="utf-8").strip()
        lines.append(f'{name} namespaces="{",".join(map(namespace_of, kinds))}" {public}\n')
    return "".join(lines)


def environment(keys: Path, name: str = "production", **gate: Any) -> Environment:
    """An environment of the lab, in which production has a gate."""
    given = {
        "name": name,
        "registry": {},
        "variables": VARIABLES,
        "gate": {
            "required": name == "production",
            "verified_in": "staging",
            "promotes_to": "production" if name == "staging" else "",
            "allowed_signers": allowed_signers(keys),
            **gate,
        },
    }
    return parse_environment(Node(given, "ops_environment"))


@dataclass
class Ledger:
    """Statements in memory, or nothing but an excuse."""

    kept: list[Signed] = field(default_factory=list)
    away: bool = False

    def signed(self) -> list[Signed]:
        self._answer()
        return list(self.kept)

    def append(self, signed: Signed) -> Any:
        self._answer()
        self.kept.append(signed)
        return SimpleNamespace(number=len(self.kept))

    def hashes(self) -> Mapping[int, str]:
        return {number: hash_of(one.text) for number, one in enumerate(self.kept, start=1)}

    def _answer(self) -> None:
        if self.away:
            raise LedgerAway("the storage does not answer", where="s3://ledger", do="wait")


@dataclass
class Action:
    """What an action tells of its task."""

    environment: Environment
    key: Path | None
    arguments: dict[str, Any] = field(default_factory=dict)
    rehearsal: bool = False
    asked: list[str] = field(default_factory=list)
    task_vars: Mapping[str, Any] = field(default_factory=lambda: {"inventory_dir": "/x/inventories/lab"})

    @property
    def variables(self) -> Mapping[str, str]:
        return {**VARIABLES, "ENVIRONMENT": self.environment.name}

    def variable(self, name: str) -> Any:
        return str(self.key) if self.key and name == "ops_signing_key" else None

    def stack(self, name: str) -> Stack:
        return load_stack(name, self.variables)

    def given(self) -> dict[str, Any]:
        """What goes to the module of a deploy of ocr."""
        tree = dict(self.stack("ocr").tree)
        entry = {
            "name": "ocr",
            "tree": tree,
            "digests": {"web": DIGEST},
            "stack_file": definition_of(stack_source("ocr")),
        }
        return {"entry": entry, "environment_name": self.environment.name}

    def release_arguments(self, *_: str) -> dict[str, Any]:
        self.asked.append("registry")
        return self.given()

    def secret_arguments(self, *_: str) -> dict[str, Any]:
        self.asked.append("secrets")
        return {"secrets": {"OCR": "x"}, "registry_auth": ""}
