"""Which backup is meant by latest, an id or a time; and what is backed up in which order."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.model.backup import Backup, BackupPolicy
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.plan.backup import (
    BackupObserved,
    describe_size,
    list_backups,
    plan_backup,
    select_backup,
)

from .backup_parts import NOW, backup

HOUR = dt.timedelta(hours=1)
BACKUPS = (
    backup("run-monday", NOW - 48 * HOUR, ("database:acme", "database:globex", "volume:filestore")),
    backup("run-cut-off", NOW - 30 * HOUR, complete=False),
    backup("run-tuesday", NOW - 24 * HOUR),
    backup("run-globex", NOW - HOUR, ("database:globex",)),
)


@pytest.mark.parametrize(
    ("wanted", "kind", "name", "run"),
    [
        ("latest", "database", "acme", "run-tuesday"),
        ("latest", "database", "globex", "run-globex"),
        ("latest", "volume", "filestore", "run-monday"),
        ("run-monday", "database", "acme", "run-monday"),
        ("run-mon", "database", "acme", "run-monday"),
        ("run-monday-01", "database", "acme", "run-monday"),
        ("2026-11-21T12:00:00Z", "database", "acme", "run-tuesday"),
        ("2026-11-21T11:59:59Z", "database", "acme", "run-monday"),
        # The same moment, as an operator in Tokyo writes it.
        ("2026-11-21T21:00+09:00", "database", "acme", "run-tuesday"),
        ("2026-11-22 20:30+09:00", "database", "globex", "run-globex"),
    ],
)
def test_selection(wanted: str, kind: str, name: str, run: str) -> None:
    assert select_backup(BACKUPS, wanted, kind, name).run == run


@pytest.mark.parametrize(
    ("wanted", "kind", "name", "what", "do"),
    [
        ("latest", "database", "acmee", "no verified backup holds database 'acmee'", "did you mean 'acme'?"),
        ("latest", "volume", "zzz", "no verified backup holds volume 'zzz'", "--check"),
        ("run-cut-off", "database", "acme", "not finished or not verified", "choose another"),
        ("run-tuesday", "database", "globex", "does not hold database 'globex'", "--check"),
        ("run-", "database", "acme", "neither latest, nor the id", "--check"),
        ("run-tu-nope", "database", "acme", "neither latest, nor the id", "--check"),
        ("2026-11-01T00:00Z", "database", "acme", "no backup of database acme is as old", "--check"),
        ("2026-11-22T15:00", "database", "acme", "has no zone", "2026-11-22T15:00+09:00"),
        ("2026-11-22", "database", "acme", "has no zone", "+09:00"),
    ],
)
def test_refusals_say_what_to_do(wanted: str, kind: str, name: str, what: str, do: str) -> None:
    with pytest.raises(OpsError) as caught:
        select_backup(BACKUPS, wanted, kind, name)
    assert what in caught.value.what
    assert do in caught.value.do


def test_an_id_that_fits_two_backups_is_refused() -> None:
    backups = (backup("20261122T01-aaaa", NOW - HOUR), backup("20261122T02-bbbb", NOW))
    with pytest.raises(OpsError, match="the id fits 2 backups: 20261122T01-aaaa, 20261122T02-bbbb"):
        select_backup(backups, "20261122T0", "database", "acme")


def test_nothing_was_ever_backed_up() -> None:
    with pytest.raises(OpsError) as caught:
        select_backup((), "latest", "database", "acme")
    assert caught.value.do == "back it up with back_up.yml first"


@given(
    st.lists(st.tuples(st.integers(0, 500), st.booleans()), min_size=1, max_size=20, unique_by=lambda each: each[0]),
    st.integers(0, 500),
)
def test_a_time_gives_the_newest_complete_backup_until_then(runs: list[tuple[int, bool]], until: int) -> None:
    backups = tuple(backup(f"run-{hours:06}", NOW + hours * HOUR, complete=done) for hours, done in sorted(runs))
    candidates = [hours for hours, done in runs if done and hours <= until]
    time = (NOW + until * HOUR).isoformat()
    if not candidates:
        with pytest.raises(OpsError):
            select_backup(backups, time, "database", "acme")
        return
    assert select_backup(backups, time, "database", "acme").run == f"run-{max(candidates):06}"


def test_databases_come_before_files_and_the_repository_before_both() -> None:
    observed = BackupObserved({"acme": 8_200_000}, {"filestore": 10}, repository=False)
    steps = plan_backup("odoo18", BackupPolicy(), observed)
    assert [f"{step.action} {step.subject}" for step in steps] == [
        "create repository of odoo18",
        "back up database acme",
        "back up volume filestore",
    ]
    assert steps[1].reason == "8.2 MB"


def test_all_that_is_missing_is_named_at_once() -> None:
    observed = BackupObserved({"acme": None, "globex": 1}, {"filestore": None}, repository=True)
    with pytest.raises(OpsError, match="database acme and volume filestore cannot be backed up"):
        plan_backup("odoo18", BackupPolicy(), observed)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (8_200_000, "8.2 MB"), (10**16, "10000.0 TB")],
)
def test_sizes(size: int, text: str) -> None:
    assert describe_size(size) == text


def test_the_list_is_newest_first_and_says_what_is_not_verified() -> None:
    rows = list_backups(BACKUPS)
    assert [row["backup"] for row in rows] == ["run-globex", "run-tuesday", "run-cut-off", "run-monday"]
    assert [row["verified"] for row in rows] == ["yes", "yes", "no", "yes"]
    assert rows[3]["databases"] == "acme globex"
    assert rows[3]["volumes"] == "filestore"


def test_every_part_is_of_the_run() -> None:
    chosen: Backup = select_backup(BACKUPS, "latest", "database", "acme")
    assert chosen.manifest is not None
    assert {each.run for each in chosen.snapshots} == {"run-tuesday"}
