"""Which backups have served their time."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.model.backup import Backup, Keep
from plugins.module_utils.plan.backup import expired_backups

from .backup_parts import NOW, backup

DAY = dt.timedelta(days=1)


def left(backups: tuple[Backup, ...], keep: Keep) -> list[str]:
    gone = {each.run for each in expired_backups(backups, keep, NOW)}
    return [each.run for each in backups if each.run not in gone]


def nightly(days: int) -> tuple[Backup, ...]:
    """One a night, the oldest first, named by its date."""
    times = [NOW - age * DAY - dt.timedelta(hours=9) for age in range(days, 0, -1)]
    return tuple(backup(f"{time:%Y-%m-%d}", time) for time in times)


def test_days_weeks_and_months() -> None:
    assert left(nightly(100), Keep(daily=3, weekly=2, monthly=3)) == [
        "2026-09-30",
        "2026-10-31",
        "2026-11-15",  # the last of its week
        "2026-11-19",
        "2026-11-20",
        "2026-11-21",  # the last of its week and of its month so far
    ]


def test_the_newest_of_a_day_stays_for_it() -> None:
    morning, evening = NOW - 3 * DAY - dt.timedelta(hours=9), NOW - 3 * DAY
    backups = (backup("morning", morning), backup("evening", evening), *nightly(1))
    assert left(backups, Keep(daily=2, weekly=0, monthly=0)) == ["evening", "2026-11-21"]


def test_a_backup_of_one_database_does_not_push_out_the_last_of_another() -> None:
    both = backup("both", NOW - 60 * DAY, ("database:acme", "database:globex"))
    backups = (both, *(backup(f"acme-{age}", NOW - age * DAY) for age in range(40, 1, -1)))
    assert "both" in left(backups, Keep(daily=1, weekly=1, monthly=1))


def test_unfinished_runs_go_after_a_day_and_hold_no_place() -> None:
    backups = (
        backup("good", NOW - 3 * DAY),
        backup("cut-off", NOW - 2 * DAY, complete=False),
        backup("running", NOW - dt.timedelta(hours=2), complete=False),
    )
    assert left(backups, Keep(daily=1, weekly=0, monthly=0)) == ["good", "running"]


def test_a_safety_backup_stays_a_week() -> None:
    safety = backup("safety", NOW - 6 * DAY, reason="safety")
    old = backup("old-safety", NOW - 8 * DAY, reason="safety")
    assert left((old, safety, *nightly(5)), Keep(daily=1, weekly=0, monthly=0)) == ["safety", "2026-11-21"]


policies = st.builds(Keep, st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
runs = st.lists(
    st.tuples(
        st.integers(0, 24 * 400), st.sampled_from([("database:a",), ("database:b",), ("database:a", "volume:f")])
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda each: each[0],
)


def made(hours: list[tuple[int, tuple[str, ...]]]) -> tuple[Backup, ...]:
    return tuple(
        backup(f"{age:05}", NOW - dt.timedelta(hours=age), parts) for age, parts in sorted(hours, reverse=True)
    )


@given(runs, policies)
def test_the_newest_of_every_part_always_stays(hours: list[tuple[int, tuple[str, ...]]], keep: Keep) -> None:
    backups = made(hours)
    stays = left(backups, keep)
    for part in {part for _, parts in hours for part in parts}:
        newest = [each for each in backups if each.part(*part.split(":"))][-1]
        assert newest.run in stays


@given(runs, policies)
def test_a_second_look_finds_nothing_more_to_take_away(hours: list[tuple[int, tuple[str, ...]]], keep: Keep) -> None:
    backups = made(hours)
    stays = left(backups, keep)
    assert left(tuple(each for each in backups if each.run in stays), keep) == stays


@given(runs, policies)
def test_keeping_more_never_takes_away_what_less_would_keep(
    hours: list[tuple[int, tuple[str, ...]]], keep: Keep
) -> None:
    more = Keep(keep.daily + 1, keep.weekly + 1, keep.monthly + 1)
    assert set(left(made(hours), keep)) <= set(left(made(hours), more))
