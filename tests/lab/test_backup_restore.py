"""Backups and restores on a real host, to object storage, of a real database; and what happens when they cannot."""

from __future__ import annotations

import json
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from .backup_parts import (
    LAB,
    Estate,
    Told,
    database_names,
    drop_databases,
    fingerprint,
    make_rich_database,
    on_host,
    session,
)

pytestmark = [pytest.mark.lab, pytest.mark.slow]

MARK = f"backup_test_{secrets.token_hex(3)}"
RICH = f"{MARK}_rich"
SMALL = f"{MARK}_small"
BUCKET = "seisei-staging-backups"
FILES = "/var/lib/docker/volumes/odoo18_filestore/_data"


@pytest.fixture(scope="module")
def bucket() -> Any:
    """The bucket of staging's backups, from the outside."""
    return (
        boto3.session.Session(profile_name=None)
        .resource(
            "s3",
            endpoint_url="https://10.213.0.4:5000",
            region_name="ap-northeast-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            verify=str(LAB / "ca" / "ca.pem"),
            config=Config(s3={"addressing_style": "path"}),
        )
        .Bucket(BUCKET)
    )


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory, bucket: Any) -> Iterator[Estate]:
    """Staging with two databases of our own and a repository of our own; all of it gone afterwards."""
    make_rich_database(RICH)
    make_rich_database(SMALL)
    with session(SMALL) as shrinking:
        shrinking.execute("TRUNCATE customer CASCADE; DROP TABLE event")
    on_host(
        f"mkdir -p '{FILES}/{MARK}/添付 1' && cd '{FILES}/{MARK}' && head -c 3000000 /dev/urandom > '添付 1/a b.pdf'"
        " && ln -s '添付 1/a b.pdf' link && : > empty && chmod 640 empty && chown -R 10001:10001 ."
    )
    try:
        yield Estate(tmp_path_factory.mktemp("estates"), f"{RICH},{SMALL}", MARK)
    finally:
        on_host(f"rm -rf '{FILES}/{MARK}'; docker volume ls -q | grep -F {MARK} | xargs -r docker volume rm >/dev/null")
        drop_databases(MARK)
        bucket.objects.filter(Prefix=f"{MARK}/").delete()


@pytest.fixture(scope="module")
def backup(estate: Estate) -> Told:
    """One backup of everything."""
    return estate.play("back_up")


def test_a_rehearsal_tells_what_would_be_done_and_does_nothing(estate: Estate, bucket: Any) -> None:
    told = estate.play("back_up", "--check")
    assert told.code == 0, told.text
    for subject in ("create repository of odoo18", f"back up database {RICH}", "back up volume filestore"):
        assert subject in told.text
    assert not list(bucket.objects.filter(Prefix=f"{MARK}/"))


def test_a_backup_is_verified_and_says_figures(backup: Told) -> None:
    assert backup.code == 0, backup.text
    report = backup.report
    assert report["verified"] is True
    rich, small = report["databases"]
    assert (rich["name"], small["name"]) == (RICH, SMALL)
    assert rich["rows"] == 2000 + 500 + 400 + 1 + 0 + 1 + 2
    assert rich["schema_head"] == "0002_second"
    assert report["volumes"][0]["files"] >= 2
    assert report["volumes"][0]["bytes"] >= 3_000_000


def test_nothing_in_the_storage_can_be_read_without_the_key(backup: Told, bucket: Any) -> None:
    objects = list(bucket.objects.filter(Prefix=f"{MARK}/odoo18/"))
    assert objects
    for each in objects:
        body = each.get()["Body"].read()
        assert "顧客".encode() not in body
        assert b"customer" not in body


def test_no_secret_is_seen_while_it_runs_nor_afterwards(estate: Estate, backup: Told) -> None:
    known = json.loads((LAB / "secrets.json").read_text())
    values = [known["staging/odoo18-database-password"], known["staging/backup-password"]]
    values.append(json.loads(known["staging/backup-storage"])["secret_key"])
    watching = threading.Event()
    seen: list[str] = []

    def look() -> None:
        while not watching.wait(0.2):
            seen.append(on_host("ps -e -o args --no-headers"))

    looking = threading.Thread(target=look)
    looking.start()
    told = estate.play("back_up", "-e", f"database={RICH}", "-vvv")
    watching.set()
    looking.join()
    assert told.code == 0, told.text
    assert any("pg_dump" in processes for processes in seen), "the dump was never seen running"
    for value in values:
        assert value not in told.text
        assert value not in json.dumps(told.report)
        assert not any(value in processes for processes in seen)


def test_a_second_backup_sends_only_what_changed(estate: Estate, backup: Told) -> None:
    again = estate.play("back_up", "-e", f"database={SMALL}")
    assert again.code == 0, again.text
    assert again.report["volumes"] == []
    small = next(each for each in backup.report["databases"] if each["name"] == SMALL)
    assert again.report["databases"][0]["sha256"] != ""
    assert again.report["sent_bytes"] < small["bytes"]


def test_a_restored_database_is_the_same(estate: Estate, backup: Told) -> None:
    target = f"{MARK}_same"
    wanted = fingerprint(RICH)
    told = estate.play("restore", "-e", f"database={RICH}", "-e", f"target={target}")
    assert told.code == 0, told.text
    found = fingerprint(target)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert found[name] == value, name
    assert told.report["rto_s"] > 0
    assert "warning" not in told.text


def test_a_database_with_tables_is_replaced_only_when_named_again_and_is_saved_first(
    estate: Estate, backup: Told
) -> None:
    target = f"{MARK}_replaced"
    make_rich_database(target)
    with session(target) as changing:
        changing.execute("DELETE FROM customer WHERE id > 10; REFRESH MATERIALIZED VIEW totals")
    harmed = fingerprint(target)
    words = ("-e", f"database={RICH}", "-e", f"target={target}")

    refused = estate.play("restore", *words)
    assert refused.code != 0
    assert f"-e replace={target}" in refused.text
    mistyped = estate.play("restore", *words, "-e", f"replace={RICH}")
    assert mistyped.code != 0
    assert f"'{RICH}' was typed, but '{target}' would be replaced" in mistyped.text
    assert fingerprint(target) == harmed

    told = estate.play("restore", *words, "-e", f"replace={target}")
    assert told.code == 0, told.text
    assert fingerprint(target)["rows"] == fingerprint(RICH)["rows"]
    # And back again: the safety backup is a backup like any other.
    safety = told.report["safety_backup"]
    back = estate.play("restore", "-e", f"database={target}", "-e", f"target={MARK}_undone", "-e", f"snapshot={safety}")
    assert back.code == 0, back.text
    assert fingerprint(f"{MARK}_undone")["rows"] == harmed["rows"]


def test_a_database_in_use_is_refused_by_name(estate: Estate, backup: Told) -> None:
    with session(SMALL):
        told = estate.play("restore", "-e", f"database={SMALL}", "-e", f"replace={SMALL}")
    assert told.code != 0
    assert "the database is in use by test_backup as odoo from" in told.text
    assert _left_behind() == []


def test_what_a_cut_off_restore_left_is_cleared_away(estate: Estate, backup: Told) -> None:
    target = f"{MARK}_tidy"
    with session("postgres") as maintenance:
        maintenance.execute(f'CREATE DATABASE "{target}_ops_load_abc123"')
    told = estate.play("restore", "-e", f"database={SMALL}", "-e", f"target={target}")
    assert told.code == 0, told.text
    assert database_names(target) == [target]


def test_files_come_back_into_a_new_volume_and_never_over_others(estate: Estate, backup: Told) -> None:
    told = estate.play("restore", "-e", "volume=filestore", "-e", f"target={MARK}")
    assert told.code == 0, told.text
    path = f"/var/lib/docker/volumes/odoo18_{MARK}/_data"
    command = "cd {} && find . -printf '%p %y %m %U:%G %l\\n' | sort && find . -type f -exec sha256sum {{}} + | sort"
    assert on_host(command.format(f"{path}/{MARK}")) == on_host(command.format(f"{FILES}/{MARK}"))
    assert on_host(f"stat -c %U:%G:%a {path}") == on_host(f"stat -c %U:%G:%a {FILES}")

    again = estate.play("restore", "-e", "volume=filestore", "-e", f"target={MARK}")
    assert again.code != 0
    assert "the volume holds" in again.text


def test_a_rehearsal_lists_the_backups(estate: Estate, backup: Told) -> None:
    told = estate.play("restore", "--check")
    assert told.code == 0, told.text
    assert backup.report["backup"] in told.text
    assert "verified" in told.text


# -- when it cannot be done --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate authority that nobody in the lab knows."""
    folder = tmp_path_factory.mktemp("stranger")
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=stranger", "-days", "2"]
    argv += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "ca.pem")]
    subprocess.run(argv, check=True, capture_output=True)
    return folder / "ca.pem"


STORAGE_FAULTS = [
    (
        {"password_secret": "staging/ocr-gemini-api-key"},
        "the backup key does not open this repository",
        "object_storage.password_secret",
    ),
    ({"password_secret": "staging/no-such-secret"}, "staging/no-such-secret", "Next"),
    ({"endpoint": "https://10.213.0.4:5999"}, "the object storage cannot be reached", "object_storage.endpoint"),
    ({"bucket": "seisei-staging-bakcups"}, "there is no bucket 'seisei-staging-bakcups'", "object_storage.bucket"),
    ({"ca_file": "<stranger>"}, "the certificate of the object storage is not trusted", "object_storage.ca_file"),
]


@pytest.mark.parametrize(("storage", "what", "do"), STORAGE_FAULTS, ids=lambda value: str(value)[:40])
def test_storage_that_cannot_be_used(
    estate: Estate, backup: Told, stranger: Path, storage: dict[str, str], what: str, do: str
) -> None:
    changed = {key: value.replace("<stranger>", str(stranger)) for key, value in storage.items()}
    began = time.monotonic()
    told = estate.play("back_up", storage=changed)
    assert told.code != 0
    assert what in told.text
    assert do in told.text
    assert time.monotonic() - began < 60


def test_a_database_that_does_not_answer(estate: Estate, backup: Told) -> None:
    told = estate.play("back_up", variables={"ODOO18_DATABASE_HOST": "10.213.0.4"})
    assert told.code != 0
    assert "the database cannot be reached" in told.text
    assert "diagnose_database.yml" in told.text


def test_a_database_that_is_not_there(estate: Estate, backup: Told) -> None:
    told = estate.play("back_up", variables={"ODOO18_TENANTS": f"{RICH},{MARK}_no"})
    assert told.code != 0
    assert f"database {MARK}_no cannot be backed up because it is not there" in told.text


def test_a_name_that_is_not_of_the_stack(estate: Estate) -> None:
    told = estate.play("back_up", "-e", f"database={SMALL}x")
    assert told.code != 0
    assert f"did you mean '{SMALL}'?" in told.text


def test_a_table_that_the_role_may_not_read_fails_the_backup(estate: Estate, backup: Told) -> None:
    with session(SMALL, "ops_admin") as hiding:
        hiding.execute("CREATE TABLE hidden (id integer)")
    before = _verified(estate)
    try:
        told = estate.play("back_up", "-e", f"database={SMALL}")
    finally:
        with session(SMALL, "ops_admin") as hiding:
            hiding.execute("DROP TABLE hidden")
    assert told.code != 0
    assert "permission denied for table hidden" in told.text
    assert _verified(estate) == before


def test_a_dump_that_is_cut_off_is_no_backup(estate: Estate, backup: Told) -> None:
    before = _verified(estate)
    results: list[Told] = []
    backing_up = threading.Thread(target=lambda: results.append(estate.play("back_up", "-e", f"database={SMALL}")))
    with session(SMALL) as locking, session("postgres", "ops_admin") as watching, locking.transaction():
        locking.execute("LOCK TABLE customer IN ACCESS EXCLUSIVE MODE")
        backing_up.start()
        deadline = time.monotonic() + 60
        ended: list[Any] = []
        while not ended and time.monotonic() < deadline:
            ended = watching.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = %s AND query LIKE 'LOCK TABLE%%' AND wait_event_type = 'Lock'",
                (SMALL,),
            ).fetchall()
            time.sleep(0.1)
    backing_up.join()
    assert ended, "pg_dump was never seen waiting"
    assert results[0].code != 0
    assert "the dump failed" in results[0].text
    assert _verified(estate) == before


def test_damaged_storage_is_noticed_and_nothing_is_left_behind(estate: Estate, backup: Told, bucket: Any) -> None:
    packs = list(bucket.objects.filter(Prefix=f"{MARK}/odoo18/data/"))
    bodies = {each.key: each.get()["Body"].read() for each in packs}
    target = f"{MARK}_damaged"
    try:
        for key, body in bodies.items():
            bucket.put_object(
                Key=key, Body=bytes([body[0] ^ 1]) + body[1 : len(body) // 2] + bytes(len(body) - len(body) // 2)
            )
        told = estate.play("restore", "-e", f"database={RICH}", "-e", f"target={target}")
    finally:
        for key, body in bodies.items():
            bucket.put_object(Key=key, Body=body)
    assert told.code != 0
    assert "stored data is damaged or gone" in told.text
    assert database_names(target) == []


def _verified(estate: Estate) -> list[str]:
    report = estate.play("restore", "--check").report
    return [row["backup"] for row in report["backups"] if row["verified"] == "yes"]


def _left_behind() -> list[str]:
    return [name for name in database_names(MARK) if "_ops_" in name]
