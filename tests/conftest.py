"""What all tests share: where the repository is, and that tests of the lab say so when there is none."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

ROOT = Path(__file__).resolve().parent.parent
LAB_HOSTS = (("10.213.0.11", 22), ("10.213.0.12", 22))

# A suite that gates a release must say the same twice: examples are drawn from a fixed seed unless asked otherwise
# (HYPOTHESIS_PROFILE=explore), and no deadline of its own can fail a test on a busy machine.
_EXAMPLES = DirectoryBasedExampleDatabase(ROOT / "build" / "cache" / "hypothesis")
settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=1000, deadline=None, database=_EXAMPLES)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@cache
def _silent_lab_host() -> str:
    """The first host of the lab that does not answer, or nothing."""
    for address in LAB_HOSTS:
        try:
            socket.create_connection(address, timeout=3).close()
        except OSError:
            return address[0]
    return ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail, not skip, what needs a lab that is not up: a skipped suite looks green."""
    if item.get_closest_marker("lab") and _silent_lab_host():
        pytest.fail(f"the lab's host {_silent_lab_host()} does not answer. Next: make lab", pytrace=False)
