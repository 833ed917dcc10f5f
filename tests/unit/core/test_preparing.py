"""What a release needs before it starts: room on the disk, a way back, and its schema migrated where asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.receipt import Receipt, Undone
from plugins.module_utils.preparing import LEAST_FREE
from plugins.module_utils.transaction import Transaction
from tests.unit.core.transaction_parts import LoopbackHost, deploy, host_in, last_event, release, runtime_of, with_ops

MIGRATES = {"migrate": {"service": "web", "command": ["bring", "up"], "timeout": "1m"}}


@pytest.fixture
def host(tmp_path: Path) -> LoopbackHost:
    """Release 2 is live, 1 on standby."""
    return host_in(tmp_path)


def migrating(host: LoopbackHost) -> Receipt:
    candidate = with_ops(3, **MIGRATES)
    host.state.add_record(candidate)
    return Transaction(host, candidate, action="deploy", migrates=True).run()


def test_without_room_nothing_is_fetched(host: LoopbackHost) -> None:
    runtime_of(host).free = LEAST_FREE - 1
    runtime_of(host).breaks["fetch"] = OpsError("it was fetched")
    with pytest.raises(OpsError, match="511 MiB are free at /srv/engine, and a deploy needs 512"):
        deploy(host)
    assert host.state.state("job").live == 2


def test_a_rollback_needs_no_room(host: LoopbackHost) -> None:
    runtime_of(host).free = 0
    assert Transaction(host, release(1), action="roll_back").run().outcome == "done"


def test_it_is_told_when_there_is_nothing_to_return_to(host: LoopbackHost) -> None:
    del runtime_of(host).running[2]
    receipt = deploy(host)
    assert receipt.outcome == "done"
    assert any("release 2 (sha-0000002) does not run" in warning for warning in receipt.warnings)


def test_nothing_is_told_of_a_way_back_that_is_there(host: LoopbackHost) -> None:
    assert deploy(host).warnings == []


def test_migrations_run_before_the_candidate_starts(host: LoopbackHost) -> None:
    receipt = migrating(host)
    assert runtime_of(host).tasks == [("bring", "up")]
    steps = list(receipt.steps)
    assert steps.index("fetch and verify the digest") < steps.index("migrate the schema")
    assert steps.index("migrate the schema") < steps.index("start the candidate")


def test_migrations_are_run_only_when_it_is_asked_for(host: LoopbackHost) -> None:
    candidate = with_ops(3, **MIGRATES)
    host.state.add_record(candidate)
    assert "migrate the schema" not in Transaction(host, candidate, action="deploy").run().steps
    assert runtime_of(host).tasks == []


def test_a_migration_that_fails_keeps_the_release_from_starting(host: LoopbackHost) -> None:
    runtime_of(host).task_ends = (1, "column exists")
    with pytest.raises(Undone, match="the migration ended with exit code 1: column exists"):
        migrating(host)
    assert runtime_of(host).running == {1: True, 2: True}
    event = last_event(host)
    assert (event["outcome"], host.state.state("job").live) == ("undone", 2)
    assert host.state.state("job").bad == ()
