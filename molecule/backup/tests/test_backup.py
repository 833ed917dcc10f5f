"""What the role backup achieves: a backup that is there, and is what the database was."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import pytest
from testinfra.host import Host

LAB = Path(__file__).resolve().parents[3] / "build" / "lab"
PRESENT, RESTORED = "ocr", "ocr_restored"
TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname"

Restore = Callable[..., dict[str, Any]]


@pytest.fixture
def restore(run_module: Callable[..., dict[str, Any]]) -> Restore:
    return partial(run_module, "seisei.ops.restore", variables="molecule/role_environment.yml", stack="ocr")


def ask(host: Host, database: str, question: str) -> str:
    command = "docker exec ocr-db psql --username=ocr --dbname=%s --no-align --tuples-only --command=%s"
    return str(host.check_output(command, database, question))


def rows(host: Host, database: str) -> dict[str, list[str]]:
    """All rows of each table, as text."""
    tables = ask(host, database, TABLES).split()
    return {name: ask(host, database, f"SELECT t::text FROM {name} AS t ORDER BY 1").splitlines() for name in tables}


def test_the_backup_is_listed_and_known_good(restore: Restore) -> None:
    told = restore(check=True)
    assert told["changed"] is False
    assert told["backups"], told
    newest = told["backups"][0]
    assert newest["backup"], newest


def test_nothing_in_the_storage_can_be_read_without_the_key() -> None:
    login = json.loads(json.loads((LAB / "secrets.json").read_text())["staging/backup-storage"])
    store = boto3.client(
        "s3",
        endpoint_url="https://10.213.0.4:5000",
        verify=str(LAB / "ca" / "ca.pem"),
        region_name="ap-northeast-1",
        aws_access_key_id=login["access_key"],
        aws_secret_access_key=login["secret_key"],
    )
    objects = store.list_objects_v2(Bucket="seisei-staging-backups", Prefix="role/")["Contents"]
    assert objects
    for key in (one["Key"] for one in objects):
        body = store.get_object(Bucket="seisei-staging-backups", Key=key)["Body"].read()
        assert b"schema_migrations" not in body, key
        assert b"manifest" not in body, key


def test_the_restored_database_is_the_present_one(host: Host) -> None:
    found = rows(host, PRESENT)
    assert {"jobs", "schema_migrations"} <= found.keys()
    assert all(found.values()), "an empty table proves nothing"
    assert rows(host, RESTORED) == found


def test_what_is_there_is_replaced_only_when_it_is_named_again(host: Host, restore: Restore) -> None:
    ask(host, RESTORED, "DELETE FROM schema_migrations")
    assert rows(host, RESTORED) != rows(host, PRESENT)
    refused = restore(database=PRESENT, target=RESTORED)
    assert refused["failed"] is True
    assert ask(host, RESTORED, "SELECT count(*) FROM schema_migrations") == "0"
    restore(database=PRESENT, target=RESTORED, replace=RESTORED)
    assert rows(host, RESTORED) == rows(host, PRESENT)
