"""What the lab's tests share: hosts on which every stack is as declared."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from .procedure_parts import ENVIRONMENT, GOOD, ROOT, Checkout, bring, converge, play

RELEASED = ("www", "langbot", "biznexus")


@pytest.fixture(scope="session")
def converged() -> None:
    """Both hosts provisioned and converged. Asks first, so that it costs one rehearsal when they are."""
    up = [sys.executable, "molecule/lab", "up"]
    done = subprocess.run(up, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rehearsal = play("converge", "--check")
    if rehearsal.code == 0 and rehearsal.changed == 0:
        return
    if rehearsal.code != 0:
        provisioned = play("provision")
        assert provisioned.code == 0, provisioned.text
    run = play("converge")
    assert run.code == 0, run.text


@pytest.fixture
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout whose files the test may spoil."""
    return Checkout(tmp_path_factory.mktemp("checkout"))


@pytest.fixture
def good() -> Iterator[None]:
    """Some stacks at their good release before a test, and production as declared after it."""
    for stack in RELEASED:
        bring(stack, GOOD)
    yield
    converge("--limit", ENVIRONMENT)
