"""What lets a release through the lab's gate, for tests that are about something else, and for those about the gate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from plugins.module_utils.gateway.host_state import now
from plugins.module_utils.gateway.signatures import check, sign
from plugins.module_utils.model.document import Node
from plugins.module_utils.model.environment import Environment, parse_environment
from plugins.module_utils.model.statement import ACCEPTED, VERIFIED, Signed, Statement, namespace_of
from plugins.plugin_utils.ledger import Ledger
from tests.lab.procedure_parts import LAB, ROOT, Run, on_host, play

SIGNERS = LAB / "signers"
_ASIDE = "/var/lib/seisei/set_aside_by_a_test"


@contextmanager
def signing_as(name: str) -> Iterator[None]:
    """Let a person of the lab sign within the block."""
    before = os.environ.get("SEISEI_SIGNING_KEY")
    os.environ["SEISEI_SIGNING_KEY"] = str(SIGNERS / name)
    try:
        yield
    finally:
        os.environ.pop("SEISEI_SIGNING_KEY")
        if before is not None:
            os.environ["SEISEI_SIGNING_KEY"] = before


def play_as(name: str, playbook: str, *words: str, checkout: Path = ROOT) -> Run:
    """Run a playbook as a person of the lab."""
    with signing_as(name):
        return play(playbook, *words, checkout=checkout)


@cache
def environment(checkout: Path = ROOT) -> Environment:
    """Production of the lab, as a checkout has it."""
    argv = [str(Path(sys.executable).with_name("ansible")), "-c", "local", "-m", "ansible.builtin.debug"]
    argv += ["-a", "var=ops_environment", "production-1"]
    settings = {"ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "0"}
    done = subprocess.run(
        argv, cwd=checkout, capture_output=True, text=True, check=False, env={**os.environ, **settings}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return parse_environment(Node(json.loads(done.stdout.partition("=>")[2])["ops_environment"], "lab"))


@contextmanager
def without_a_ledger(host: str) -> Iterator[None]:
    """A host that knows of no ledger and has nothing to say to one; afterwards it is as it was.

    Waits while another test has set the same aside.
    """
    things = "/var/lib/seisei/spool /var/lib/seisei/ledger_head.json"
    on_host(f"for n in $(seq 50); do mkdir {_ASIDE} && break; sleep 1; done 2>/dev/null; test -d {_ASIDE}", host)
    on_host(f"for it in {things}; do [ ! -e $it ] || mv $it {_ASIDE}/; done", host)
    try:
        yield
    finally:
        back = f"for it in {_ASIDE}/*; do [ ! -e $it ] || mv $it /var/lib/seisei/; done"
        on_host(f"rm -rf {things}; {back}; rm -rf {_ASIDE}", host)


def signed_by_host(statement: Statement, host: str) -> Signed:
    """A statement with a host's signature, made there with its own key."""
    text = statement.text()
    space = namespace_of(statement.kind)
    return Signed(text, on_host(f"ssh-keygen -q -Y sign -n {space} -f /etc/ssh/ssh_host_ed25519_key", host, text))


def allow(stack: str, release: str, checkout: Path = ROOT) -> None:
    """Have a release verified, accepted and approved, as if staging had run it: for a week, in the lab's ledger."""
    run = play_as("approver", "approve", "--limit", "production", "-e", f"stack={stack}", "-e", f"release={release}",
                  checkout=checkout)  # fmt: skip
    assert run.code == 0, run.text
    ledger = Ledger(environment(checkout))
    gate = environment(checkout).gate
    about = [
        one for one in ledger.signed() if f'"stack":"{stack}"' in one.text and f'"release":"{release}"' in one.text
    ]
    known = [one.statement for one in check(about, gate) if not one.fault]
    approval = [one for one in known if one.kind == "approved" and one.by == "approver"][-1]
    wanted = {VERIFIED: "staging-1", ACCEPTED: "developer"}
    for kind, by in wanted.items():
        if any(
            (one.kind, one.digests, one.definition) == (kind, approval.digests, approval.definition) for one in known
        ):
            continue
        said = replace(approval, kind=kind, environment="staging", by=by, at=now(), expires="", id=os.urandom(16).hex())
        ledger.append(signed_by_host(said, by) if kind == VERIFIED else sign(said, SIGNERS / by))
