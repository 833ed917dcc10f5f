"""Both sides make every case once, side by side, and it is all taken away at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from .oracle import Oracle, Pair, cases, engine_of, variables

HOST = "staging-1"


@pytest.fixture(scope="session")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    """The engine of a lab host that is converged, so that it holds the images."""
    work = tmp_path_factory.mktemp("differential")
    with engine_of(HOST, work / "engine.sock") as engine:
        found = Oracle(HOST, engine, work / "engine.sock", work, variables())
        found.look()
        found.clear()
        try:
            yield found
        finally:
            found.clear()


@pytest.fixture(scope="session")
def made(oracle: Oracle) -> Mapping[Path, Future[dict[str, Pair]]]:
    """The pairs of every case by its file; asking for one that was refused raises why."""
    oracle.place_files(cases())
    with ThreadPoolExecutor(4) as pool:
        return {case.path: pool.submit(oracle.compare, case) for case in cases()}
