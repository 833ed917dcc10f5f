"""What a stack file may say about backups, and what snapshots and manifests say of themselves."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from plugins.module_utils.model.backup import (
    BackupPolicy,
    DatabaseContent,
    DatabaseRecord,
    Keep,
    Manifest,
    TableContent,
    VolumeRecord,
    group_backups,
    parse_backup,
    parse_manifest,
    parse_snapshot,
    snapshot_tags,
    stream_path,
)
from plugins.module_utils.model.document import Node
from plugins.module_utils.model.errors import InvalidInput, OpsError


def parsed(tree: Any) -> BackupPolicy:
    node = Node(tree, "odoo18.yml", ("x-ops", "backup"))
    policy = parse_backup(node)
    node.finish()
    return policy


def test_everything_has_a_default() -> None:
    assert parsed({}) == BackupPolicy(True, (), Keep(7, 4, 6))


def test_all_keys() -> None:
    tree = {"databases": False, "volumes": ["filestore"], "keep": {"daily": 3, "weekly": 0, "monthly": "12"}}
    assert parsed(tree) == BackupPolicy(False, ("filestore",), Keep(3, 0, 12))


@pytest.mark.parametrize(
    ("tree", "path", "what"),
    [
        ({"volume": ["a"]}, "x-ops.backup.volume", "did you mean 'volumes'?"),
        ({"databases": "yes"}, "x-ops.backup.databases", "expected true or false"),
        ({"volumes": ["a", "a"]}, "x-ops.backup.volumes[1]", "named twice"),
        ({"volumes": ["a b"]}, "x-ops.backup.volumes[0]", "not the name of a volume"),
        ({"keep": {"daily": -1}}, "x-ops.backup.keep.daily", "outside"),
        ({"keep": {"daily": 0, "weekly": 0, "monthly": 0}}, "x-ops.backup.keep", "no backup at all"),
        ({"databases": False}, "x-ops.backup", "keeps nothing"),
        (["filestore"], "x-ops.backup", "expected a mapping"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(tree: Any, path: str, what: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parsed(tree)
    assert [error.where for error in caught.value.errors] == [f"odoo18.yml {path}"]
    assert what in str(caught.value)


def test_a_snapshot_is_found_by_the_tags_it_was_given() -> None:
    tags = snapshot_tags("staging", "odoo18", "20261122T000000Z-abcd", "database:acme", "safety")
    found = parse_snapshot({"id": "0123abcd", "time": "2026-11-22T00:37:37.5+09:00", "tags": list(tags)})
    assert found is not None
    assert (found.environment, found.stack, found.run, found.reason) == (
        "staging",
        "odoo18",
        "20261122T000000Z-abcd",
        "safety",
    )
    assert (found.kind, found.name) == ("database", "acme")
    assert found.time == dt.datetime(2026, 11, 21, 15, 37, 37, 500000, dt.UTC)


def test_a_snapshot_of_somebody_else_is_left_alone() -> None:
    assert parse_snapshot({"id": "1", "time": "2026-11-22T00:00:00Z", "tags": ["nightly"]}) is None
    assert parse_snapshot({"id": "1", "time": "2026-11-22T00:00:00Z"}) is None


def test_only_a_run_with_a_manifest_is_complete() -> None:
    def snapshot(run: str, part: str, minute: int) -> dict[str, Any]:
        time = f"2026-11-22T00:{minute:02}:00Z"
        return {
            "id": f"{run}{part}",
            "time": time,
            "tags": list(snapshot_tags("staging", "odoo18", run, part, "manual")),
        }

    entries = [snapshot("b", "manifest", 9), snapshot("b", "database:acme", 8), snapshot("a", "database:acme", 1)]
    backups = group_backups(found for found in map(parse_snapshot, entries) if found)
    assert [(backup.run, backup.complete) for backup in backups] == [("a", False), ("b", True)]
    assert backups[1].time.minute == 8


def test_names_that_are_no_file_names_still_have_a_path_of_one_level() -> None:
    # restic cannot stream into a subdirectory.
    assert stream_path("database:a/b c") == "/database-a%2Fb%20c.dump"
    assert stream_path("manifest") == "/manifest.json"


def test_a_manifest_survives_its_way_through_json() -> None:
    content = DatabaseContent(
        tables={"public.顧客": TableContent(3, "-12")},
        structure={"indexes": 2},
        owner="odoo",
        encoding="UTF8",
        collate="C",
        ctype="C",
        provider="c",
        locale="",
        server_version="17.5",
        schema_head="0002_x",
        roles=("odoo",),
        settings=("timezone=Asia/Tokyo",),
        grants=("=CONNECT",),
    )
    database = DatabaseRecord("acme", "f00", 10, "ab", content, 0.5, 0.25)
    volume = VolumeRecord("filestore", "f01", "/v", 1, 2, "cd", "10001:10001", 0o755, 0.1, 0.1)
    manifest = Manifest(
        "run", "staging", "odoo18", "2026-11-22T00:00:00+00:00", "manual", "", {}, (database,), (volume,)
    )
    assert parse_manifest(json.loads(json.dumps(manifest.as_dict()))) == manifest


@pytest.mark.parametrize("tree", [{}, {"run": "x", "databases": [{}], "volumes": []}, {"databases": 1, "volumes": []}])
def test_a_manifest_of_another_shape_is_refused(tree: dict[str, Any]) -> None:
    with pytest.raises(OpsError, match="manifest of this backup cannot be read"):
        parse_manifest(tree)
