"""Where a rollback leads, and whether a deploy has anything to do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.release import Release, StackState, release_from, state_from
from plugins.module_utils.plan.release import (
    known_bad,
    live_since,
    rollback_target,
    same_release,
    was_live,
    why_bad,
    with_secrets_at_hand,
)


def release(number: int, sha: str = "") -> Release:
    return Release(
        number=number,
        stack="shop",
        release=sha or f"sha-{number:07d}",
        digests={"web": "sha256:1"},
        tree={},
        definition="d",
        secrets={"KEY": "s"},
        created_at="2026-11-22T00:00:00.000Z",
    )


RECORDS = [release(number) for number in range(1, 6)]
RECORDS[4] = release(5, "sha-0000002")  # the same commit as release 2, deployed again


def done(*numbers: int) -> list[dict[str, Any]]:
    return [{"number": number, "outcome": "done", "at": f"at {number}"} for number in numbers]


@pytest.mark.parametrize(
    ("live", "bad", "history", "asked", "number"),
    [
        (3, (), done(1, 2, 3), {}, 2),
        (3, (), done(1, 2, 3), {"steps": 2}, 1),
        (3, (2,), done(1, 2, 3), {}, 1),
        (4, (), done(1, 2, 4), {}, 2),  # release 3 never took traffic
        (2, (), done(1, 2, 3, 2), {}, 1),  # after a rollback: further back, not forward to 3
        (4, (), done(1, 2, 1, 4), {}, 1),  # after a rollback and a deploy: not to what the rollback left
        (4, (), done(1, 2, 3, 1, 3, 4), {}, 3),  # a release that was taken up again is on the way again
        (2, (), done(1, 2, 3, 2), {"release": "sha-0000003"}, 3),
        (5, (), done(1, 2, 3, 5), {"release": "sha-0000001"}, 1),
        (3, (2,), done(1, 2, 3), {"release": "sha-0000002"}, 2),  # bad, and named all the same
        (4, (5,), done(1, 2, 4, 5), {"release": "sha-0000002"}, 2),  # a good one so called comes first
        (4, (), done(1, 2, 4, 5), {"release": "sha-0000002"}, 5),  # the newest at that commit
        (3, (), done(1, 2, 3), {"release": "sha-000000"}, 2),
    ],
)
def test_where_a_rollback_leads(
    live: int, bad: tuple[int, ...], history: list[dict[str, Any]], asked: dict[str, Any], number: int
) -> None:
    assert rollback_target(RECORDS, StackState(live=live, bad=bad), history, **asked).number == number


@pytest.mark.parametrize(
    ("live", "bad", "history", "asked", "says"),
    [
        (1, (), done(1), {}, "there is no good release 1 step back; there are: none"),
        (2, (1,), done(1, 2), {}, "there is no good release 1 step back; there are: none"),
        (3, (), done(1, 2, 3), {"steps": 3}, "there is no good release 3 steps back; there are: sha-0000002"),
        (3, (), done(1, 2, 3), {"steps": 0}, "there is no good release 0 steps back"),
        (3, (), done(1, 2, 3), {"steps": -1}, "there is no good release -1 steps back"),
        (3, (4,), done(1, 2, 3), {"release": "sha-0000004"}, "there is no good release at sha-0000004"),
        (2, (), done(1, 2), {"release": "sha-0000003"}, "there are: sha-0000001 (release 1)"),
    ],
)
def test_where_no_rollback_leads(
    live: int, bad: tuple[int, ...], history: list[dict[str, Any]], asked: dict[str, Any], says: str
) -> None:
    with pytest.raises(OpsError, match=says.replace("(", r"\(").replace(")", r"\)")):
        rollback_target(RECORDS, StackState(live=live, bad=bad), history, **asked)


def test_failed_and_foreign_events_are_not_traffic() -> None:
    history = [*done(1), {"number": 2, "outcome": "undone"}, {"outcome": "migrated"}, {"number": 3, "outcome": "died"}]
    assert was_live(history) == {1}


def test_live_since_the_last_time() -> None:
    history = [*done(1, 2), {"number": 1, "outcome": "done", "at": "again"}]
    assert live_since(history, 1) == "again"
    assert live_since(history, 9) == ""


def test_the_same_release() -> None:
    one = release(1)
    assert same_release(one, replace(one, number=9, created_at="later", by="x", why="y", tree={"other": 1}))
    assert not same_release(None, one)


@pytest.mark.parametrize(
    "other",
    [{"release": "sha-fffffff"}, {"digests": {"web": "sha256:2"}}, {"definition": "e"}, {"secrets": {"KEY": "t"}}],
)
def test_another_release(other: dict[str, Any]) -> None:
    assert not same_release(release(1), replace(release(1), **other))


def test_a_record_reads_back_and_names_what_it_lacks() -> None:
    record = release(7).as_dict()
    assert release_from(record) == release(7)
    del record["digests"]
    with pytest.raises(OpsError, match="record 7 of shop: the release record has no field 'digests'"):
        release_from(record)


def test_a_state_reads_back_and_refuses_what_it_does_not_know() -> None:
    state = StackState(live=3, standby=2, last=4, bad=(1,))
    assert state_from(state.as_dict()) == state
    with pytest.raises(OpsError, match="unknown field watch"):
        state_from({"live": 1, "watch": 2})


def test_a_release_keeps_the_values_it_ran_with_while_they_are_here() -> None:
    assert with_secrets_at_hand(release(1), {"KEY.s", "KEY.new"}, {"KEY": "new"}) == release(1)


def test_a_value_that_was_rotated_away_is_todays() -> None:
    found = with_secrets_at_hand(release(1), {"KEY.new"}, {"KEY": "new", "OTHER": "x"})
    assert found == replace(release(1), secrets={"KEY": "new"})


@pytest.mark.parametrize("today", [{}, {"KEY": "new"}])
def test_a_secret_without_any_value_here_is_refused(today: dict[str, str]) -> None:
    with pytest.raises(OpsError, match=r"this host has no value of KEY any more.*converge the host"):
        with_secrets_at_hand(release(1), {"OTHER.s"}, today)


def test_a_record_of_an_earlier_version_says_what_to_do() -> None:
    with pytest.raises(OpsError, match=r"record 1 of shop: the release record was written before .* and converge"):
        release_from({**release(1).as_dict(), "secrets": "0123"})


def test_a_release_that_went_live_again_is_no_step_of_the_way() -> None:
    """3 was changed by hand, and 4 is 3 again: one step back leads to 2."""
    records = [release(1), release(2), release(3), replace(release(4, "sha-0000003"), of=3)]
    state = StackState(live=4, standby=2, last=4)
    assert rollback_target(records, state, done(1, 2, 3, 4)).number == 2
    assert rollback_target(records, state, done(1, 2, 3, 4), steps=2).number == 1


def test_after_going_back_to_a_release_with_todays_secret_the_next_step_leads_further_back() -> None:
    """From 3 two steps back to 1, recorded as 4 since its secret was rotated; what was left is passed over."""
    records = [release(1), release(2), release(3), replace(release(4, "sha-0000001"), of=1)]
    with pytest.raises(OpsError, match="there is no good release 1 step back"):
        rollback_target(records, StackState(live=4, standby=3, last=4), done(1, 2, 3, 4))


def test_a_record_that_was_written_before_stack_files_had_a_fingerprint_is_read() -> None:
    record = release(7).as_dict()
    del record["stack_file"]
    assert release_from(record).stack_file == ""


@pytest.mark.parametrize(
    ("numbers", "bad", "history", "found"),
    [
        ((1, 2), (), done(1, 2), 0),
        ((1, 2), (2,), done(1), 2),
        ((1, 2, 3), (2,), done(1, 3), 0),  # it was deployed again, and did well
        ((1, 2, 3), (3,), done(1, 2, 3), 3),  # it did well once, and not the last time
        ((1, 2, 3), (2,), done(1), 2),  # record 3 never took traffic, and says nothing
    ],
)
def test_a_release_is_known_to_be_bad_by_its_newest_record_that_says_anything(
    numbers: tuple[int, ...], bad: tuple[int, ...], history: list[dict[str, Any]], found: int
) -> None:
    records = [release(number, "sha-aaaaaaa") for number in numbers]
    state = StackState(live=1, bad=bad)
    known = known_bad(records, state, history, release(9, "sha-aaaaaaa"))
    assert (known.number if known else 0) == found
    others: dict[str, Any] = {
        "digests": {"web": "sha256:2"},
        "definition": "e",
        "secrets": {"KEY": "t"},
        "release": "sha-bbbbbbb",
    }
    for name, value in others.items():
        other = replace(release(9, "sha-aaaaaaa"), **{name: value})
        assert known_bad(records, state, history, other) is None, f"another {name} is another release"


def test_why_a_release_was_taken_back_is_told_in_the_words_of_who_did_it() -> None:
    failed = {"number": 2, "outcome": "undone", "error": "smoke tests 2/3"}
    watched = {"number": 1, "outcome": "done", "error": "", "condemns": [3], "why": "the watch took release 3 back"}
    assert why_bad([*done(1), failed, watched], 2) == "smoke tests 2/3"
    assert why_bad([*done(1), failed, watched], 3) == "the watch took release 3 back"
    assert why_bad([], 4) == "history does not say why"
