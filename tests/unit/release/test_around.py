"""What is told of a release beside itself: its accessories' images, and where its schema stands."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from plugins.module_utils import spooling
from plugins.module_utils.around import digest_of, told_around
from plugins.module_utils.gateway.host_spool import HostSpool
from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.gateway.schema_notes import note_schema
from plugins.module_utils.hands import Host
from plugins.module_utils.model.container import ObservedContainer
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.release import Release
from plugins.module_utils.vouching import tell_end
from tests.unit.gate.controller_parts import make_keys

WATCHED = {"healthcheck": {"test": ["CMD", "go"]}}
TREE = {
    "name": "shop",
    "services": {"web": {"image": "r/shop:${RELEASE}", **WATCHED}, "db": {"image": "r:5000/postgres:17", **WATCHED}},
    "x-ops": {"releases": ["web"]},
}
RELEASE = Release(2, "shop", "sha-2222222", {"web": "sha256:w"}, TREE, "d", {}, "", stack_file="d" * 64)


def container(service: str, number: int, asked: str, *digests: str) -> ObservedContainer:
    told = {"Config": {"Image": asked}, "Image": "sha256:id"}
    return ObservedContainer(f"shop-{service}", "shop", service, number, "running", told=told,
                             image={"RepoDigests": list(digests)})  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "digests", "digest"),
    [
        ("r:5000/postgres:17", ["o/postgres@sha256:o", "r:5000/postgres@sha256:r"], "sha256:r"),
        ("r:5000/postgres", ["o/postgres@sha256:o", "r:5000/postgres@sha256:r"], "sha256:r"),
        ("postgres:17", ["o/postgres@sha256:o"], "sha256:o"),
        ("postgres@sha256:p", ["o/postgres@sha256:o"], "sha256:p"),
        ("built-here:1", [], "sha256:id"),
    ],
)
def test_the_digest_is_that_of_the_image_as_it_was_asked_for(asked: str, digests: list[str], digest: str) -> None:
    assert digest_of(container("db", 0, asked, *digests)) == digest


def host(folder: Path, *containers: ObservedContainer, away: bool = False) -> Host:
    def found(**_: Any) -> dict[str, ObservedContainer]:
        if away:
            raise OpsError("the engine does not answer")
        return {one.name: one for one in containers}

    engine = SimpleNamespace(containers=found)
    return cast(Host, SimpleNamespace(environment="test", state=HostState(folder), engine=engine))


DB, WEB = container("db", 0, "r:5000/postgres:17", "r:5000/postgres@sha256:d"), container("web", 2, "x@sha256:w")


def test_history_and_the_ledger_have_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "HOST_KEY", make_keys(tmp_path) / "staging-1")
    here = host(tmp_path, DB, WEB)
    note_schema(here.state, "shop", 2, frozenset({"1_base", "2_add_a"}), frozenset({"1_base", "2_add_a"}))
    assert tell_end(here, RELEASE, {"action": "deploy", "outcome": "done"}) == []
    tell_end(here, RELEASE, {"action": "deploy", "outcome": "undone"})
    around = {"accessories": {"db": "sha256:d"}, "schema_head": "2_add_a"}
    done, undone = here.state.history("shop")
    assert {name: done[name] for name in around} == around
    assert not undone.keys() & around.keys(), "what runs then is another release's"
    said = {one.statement.details["outcome"]: one.statement for one in HostSpool(tmp_path).waiting().statements}
    assert {name: said["done"].details[name] for name in around} == around


def test_what_cannot_be_found_out_is_left_away(tmp_path: Path) -> None:
    assert told_around(host(tmp_path, away=True), RELEASE) == {}
    assert told_around(host(tmp_path, WEB), RELEASE) == {}
