"""When a release may go live: on whose clock, over month ends, leap years and the days on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.module_utils.model.release_window import LAST, Rule, WindowPolicy
from plugins.module_utils.plan.release_windows import (
    ALLOWED,
    RECOMMENDED,
    REFUSED,
    Slot,
    judge_window,
    next_slot,
    told_slot,
)

TOKYO, BERLIN = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")
# What the release calendar of the user's documents says.
CALENDAR = WindowPolicy(
    "calendar",
    "Asia/Tokyo",
    recommended=(Rule(days=(1, 2), start=15 * 60, end=17 * 60),),
    refused=(
        Rule(days=(4,), start=12 * 60, why="nobody is there to mend it on Saturday"),
        Rule(month_days=(1, LAST), why="customers close their books"),
    ),
)


def tokyo(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=TOKYO)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("at", "word"),
    [
        ("2026-12-08 15:00", RECOMMENDED),  # a Tuesday
        ("2026-12-08 14:59", ALLOWED),
        ("2026-12-08 17:00", ALLOWED),
        ("2026-12-09 16:59", RECOMMENDED),
        ("2026-12-10 16:00", ALLOWED),
        ("2026-12-11 11:59", ALLOWED),  # a Friday
        ("2026-12-11 12:00", REFUSED),
        ("2026-12-11 23:59", REFUSED),
        ("2026-12-12 00:00", ALLOWED),
        ("2026-12-01 15:30", REFUSED),  # a Tuesday, and the first of the month
        ("2026-12-31 00:00", REFUSED),
        ("2027-01-01 23:59", REFUSED),
        ("2027-01-02 00:00", ALLOWED),
        ("2026-11-30 09:00", REFUSED),
        ("2028-02-29 09:00", REFUSED),  # the last day of February in a leap year
        ("2028-02-28 09:00", ALLOWED),
        ("2027-02-28 09:00", REFUSED),
        ("2100-02-28 09:00", REFUSED),  # no leap year
    ],
)
def test_the_calendar_on_its_own_clock(at: str, word: str) -> None:
    assert judge_window([CALENDAR], "ocr", tokyo(at)).word == word
    assert judge_window([CALENDAR], "ocr", tokyo(at).astimezone(UTC)).word == word


def test_a_refusal_says_why_and_whose() -> None:
    verdict = judge_window([CALENDAR], "ocr", tokyo("2026-12-31 10:00"))
    assert (verdict.why, verdict.policy) == ("customers close their books", "calendar")


@pytest.mark.parametrize(
    ("at", "word", "told"),
    [
        ("2026-12-11 13:00", ALLOWED, "Sat 2026-12-12 00:00-Fri 2026-12-18 12:00 JST"),
        ("2026-12-10 09:00", RECOMMENDED, "Tue 2026-12-15 15:00-17:00 JST"),
        ("2026-12-08 16:00", RECOMMENDED, "Tue 2026-12-08 16:00-17:00 JST"),
        ("2026-11-28 09:00", RECOMMENDED, "Wed 2026-12-02 15:00-17:00 JST"),  # Tuesday is the first
        ("2026-12-30 18:00", RECOMMENDED, "Tue 2027-01-05 15:00-17:00 JST"),
        ("2026-12-30 23:59", ALLOWED, "Wed 2026-12-30 23:59-24:00 JST"),
        ("2026-12-31 00:00", ALLOWED, "Sat 2027-01-02 00:00-Fri 2027-01-08 12:00 JST"),
        ("2028-02-27 09:00", ALLOWED, "Sun 2028-02-27 09:00-Mon 2028-02-28 24:00 JST"),
    ],
)
def test_the_next_slot(at: str, word: str, told: str) -> None:
    slot = next_slot([CALENDAR], "ocr", tokyo(at), word)
    assert told_slot(slot, [CALENDAR], "ocr") == told


def test_policies_hold_together_and_each_keeps_its_own_clock() -> None:
    europe = WindowPolicy(
        "europe", "Europe/Berlin", stacks=("www",), recommended=(Rule(start=8 * 60 + 30, end=12 * 60),)
    )
    both = [CALENDAR, europe]
    # 15:30 in Tokyo is 07:30 in Berlin in winter, and 08:30 in summer.
    assert judge_window(both, "www", tokyo("2026-12-08 15:30")).word == ALLOWED
    assert judge_window(both, "ocr", tokyo("2026-12-08 15:30")).word == RECOMMENDED
    assert judge_window(both, "www", tokyo("2026-07-07 15:30")).word == RECOMMENDED
    slot = next_slot(both, "www", tokyo("2026-12-08 00:00"), RECOMMENDED)
    assert told_slot(slot, both, "www") == "Tue 2026-12-08 16:30-17:00 JST"


def test_policies_that_leave_no_time_at_all_say_so() -> None:
    never = [
        CALENDAR,
        WindowPolicy("freeze", "UTC", refused=(Rule(start=0, end=720, why="x"), Rule(start=720, why="y"))),
    ]
    assert next_slot(never, "ocr", tokyo("2026-12-08 15:30")) is None
    assert "the policies leave no time" in told_slot(None, never, "ocr")
    weekend = WindowPolicy("weekend", "Asia/Tokyo", recommended=(Rule(days=(5,)),))
    assert next_slot([CALENDAR, weekend], "ocr", tokyo("2026-12-08 15:30"), RECOMMENDED) is None


def test_without_a_policy_every_time_is_allowed_and_none_recommended() -> None:
    at = tokyo("2026-12-11 13:00")
    assert judge_window([], "ocr", at).word == ALLOWED
    assert next_slot([], "ocr", at) == Slot(at, None)
    assert told_slot(Slot(at, None), [], "ocr") == "from Fri 2026-12-11 04:00 UTC"
    assert next_slot([], "ocr", at, RECOMMENDED) is None


NIGHT = WindowPolicy("night", "Europe/Berlin", refused=(Rule(start=0, end=150, why="until 02:30"),))


def test_a_time_that_clocks_leave_out_still_ends_a_refusal() -> None:
    # 2027-03-28: 02:00 becomes 03:00, so 02:30 never comes, and 03:00 is past it.
    slot = next_slot([NIGHT], "ocr", berlin("2027-03-28 01:00"))
    assert slot is not None
    assert slot.start == datetime(2027, 3, 28, 1, 0, tzinfo=UTC)
    assert told_slot(slot, [NIGHT], "ocr").startswith("Sun 2027-03-28 03:00")


def test_a_time_that_comes_twice_is_refused_twice() -> None:
    # 2026-10-25: 03:00 becomes 02:00, so 02:00 to 02:30 comes again.
    at = datetime(2026, 10, 25, 0, 40, tzinfo=UTC)  # 02:40, the first one
    assert judge_window([NIGHT], "ocr", at).word == ALLOWED
    assert judge_window([NIGHT], "ocr", at + timedelta(minutes=30)).word == REFUSED  # 02:10, the second one
    slot = next_slot([NIGHT], "ocr", at)
    assert slot == Slot(at, datetime(2026, 10, 25, 1, 0, tzinfo=UTC))
    again = next_slot([NIGHT], "ocr", at + timedelta(minutes=30))
    assert again is not None
    assert again.start == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


_RULES = st.builds(
    lambda days, month_days, span: Rule(tuple(days), tuple(month_days), span[0], span[1], "x"),
    st.lists(st.integers(0, 6), max_size=3),
    st.lists(st.sampled_from([1, 15, 29, LAST]), max_size=1),
    st.lists(st.integers(0, 24 * 4).map(lambda n: n * 15), min_size=2, max_size=2, unique=True).map(sorted),
)
_POLICIES = st.lists(
    st.builds(
        lambda zone, refused, recommended: WindowPolicy("p", zone, (), tuple(recommended), tuple(refused)),
        st.sampled_from(["Asia/Tokyo", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "UTC"]),
        st.lists(_RULES, max_size=2),
        st.lists(_RULES, max_size=1),
    ),
    max_size=3,
)


@settings(max_examples=40, deadline=None)
@given(
    _POLICIES,
    # Around days on which clocks change there, a month's end and a leap day, and anywhere.
    st.sampled_from(["2026-10-24", "2027-03-27", "2026-04-04", "2026-10-03", "2028-02-28", "2026-12-30"]),
    st.integers(0, 2 * 24 * 4),
    st.sampled_from([ALLOWED, RECOMMENDED]),
)
def test_a_slot_begins_at_the_first_quarter_of_an_hour_that_fits(
    policies: list[WindowPolicy], day: str, quarters: int, word: str
) -> None:
    at = datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(minutes=15 * quarters)
    wanted = {RECOMMENDED} if word == RECOMMENDED else {RECOMMENDED, ALLOWED}
    steps = [at + timedelta(minutes=15 * number) for number in range(3 * 24 * 4)]
    fits = [judge_window(policies, "ocr", step).word in wanted for step in steps]
    slot = next_slot(policies, "ocr", at, word)
    first = fits.index(True) if True in fits else None
    if first is None:
        assert slot is None or slot.start > steps[-1]
        return
    assert slot is not None
    assert slot.start == steps[first]
    if False in fits[first:]:
        assert slot.end == steps[fits.index(False, first)]
