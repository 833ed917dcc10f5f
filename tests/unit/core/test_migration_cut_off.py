"""A migration whose process is killed leaves a trace, is told as what it is, and is not begun a second time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from plugins.module_utils.gateway.engine import Engine, TaskResult
from plugins.module_utils.gateway.running import must_not_run
from plugins.module_utils.hands import Host, wanted_from
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.release import Request, migrate
from plugins.module_utils.report import from_history
from plugins.module_utils.runtime import ContainerRuntime
from tests.property.release_parts import NEW, STACK, TREE, host_with_a_release, simulated_edge

MIGRATE = {"service": "web", "command": ["migrate"]}
REQUEST_TREE: dict[str, Any] = {**TREE, "x-ops": {**TREE["x-ops"], "migrate": MIGRATE}}
ID = "0123456789ab"


class Killed(BaseException):
    """The process of the migration dies."""


class Runtime(ContainerRuntime):
    """Its task ends as it is told to."""

    ends: TaskResult | BaseException

    def run_task(self, *_: Any) -> TaskResult:
        if isinstance(self.ends, BaseException):
            raise self.ends
        return self.ends


@pytest.fixture
def host() -> Iterator[Host]:
    with simulated_edge(), host_with_a_release() as (host, _):
        host.transaction = ID
        yield host


def outcomes(host: Host, ends: TaskResult | BaseException) -> list[dict[str, Any]]:
    """What history has of a migration that ends so."""
    host.runtime = Runtime(host.engine, "test", {})
    object.__setattr__(host.runtime, "ends", ends)
    given = {"name": STACK, "tree": REQUEST_TREE, "digests": {"web": "sha256:1"}}
    request = Request(wanted_from(host, given, {}), {}, by="ann", why="test")
    with suppress(OpsError, Killed):
        migrate(host, request, NEW)
    return [event for event in host.state.history(STACK) if event.get("action") == "migrate"]


def test_a_killed_migration_is_told_as_one_that_may_run_on(host: Host) -> None:
    (event,) = outcomes(host, Killed())
    assert (event["outcome"], event["transaction"], event["by"], event["release"]) == ("begun", ID, "ann", NEW)
    result = from_history(STACK, event)
    assert result["failed"] is True
    assert "its container may run on" in result["msg"]
    assert "docker ps --filter name=shop-.*-task" in result["msg"]


@pytest.mark.parametrize(
    ("ends", "outcome", "error"),
    [
        (TaskResult(0, "0002 applied", 1.0), "migrated", ""),
        (TaskResult(1, "lock timeout", 1.0), "migration failed", "lock timeout"),
        (OpsError("it did not end within 60 s and was stopped"), "migration failed", "it did not end within 60 s"),
    ],
)
def test_every_other_end_is_in_history_too(
    host: Host, ends: TaskResult | BaseException, outcome: str, error: str
) -> None:
    begun, end = outcomes(host, ends)
    assert (begun["outcome"], end["outcome"], end["transaction"]) == ("begun", outcome, ID)
    assert end["error"].startswith(error)
    assert from_history(STACK, end).get("failed", False) == (outcome != "migrated")


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("/shop-web-2222222-7-task", True),
        ("/shop-web-1111111-6-task", True),  # another release's: the data is the same
        ("/shop-web-2222222-7", False),
        ("/shop-more-task", False),  # a service that is called so
        ("/shop-extra-web-2222222-7-task", False),  # another stack's
    ],
)
def test_a_second_one_is_refused_while_a_container_of_the_first_runs(host: Host, name: str, refused: bool) -> None:
    engine = SimpleNamespace(api=SimpleNamespace(containers=lambda: [{"Names": [name]}]), run_task=lambda *_: "ran")
    runtime = replace(cast(ContainerRuntime, host.runtime), engine=cast(Engine, engine))
    release = host.state.record(STACK, 1)
    if not refused:
        assert runtime.run_task(release, "web", ("migrate",), 1.0) == cast(Any, "ran")
        return
    with pytest.raises(OpsError, match=r"runs already.*docker logs shop-web-.*docker stop shop-web-"):
        runtime.run_task(release, "web", ("migrate",), 1.0)


def test_an_engine_that_runs_nothing_refuses_nothing() -> None:
    must_not_run(cast(Engine, SimpleNamespace(api=SimpleNamespace(containers=list))), "shop-.*")
