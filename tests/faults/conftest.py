"""The rig of the database faults: one for the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.database_rig import Rig


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The server and its surroundings. `RECORD_DIAGNOSES=<folder>` keeps what was seen, as cases for the unit tests."""
    folder = os.environ.get("RECORD_DIAGNOSES")
    with Rig(tmp_path_factory.mktemp("state"), Path(folder) if folder else None) as made:
        yield made
