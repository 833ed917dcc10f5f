"""The connection budget: examples with their figures, and what holds for every server."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.plan.connection_budget import BOTH, NONE, ONE, Room, budget, room_from, shortage

SERVER = Room(most=100, reserved=3, used=30, used_by_role=10)


@pytest.mark.parametrize(
    ("room", "pool", "old_pool", "fits", "wanted", "takes"),
    [
        (SERVER, 20, 20, BOTH, 60, 97),  # 20 of others, 20 of the old one at its fullest, 20 of the new one
        (SERVER, 57, 20, BOTH, 97, 97),  # exactly
        (SERVER, 58, 20, ONE, 98, 97),
        (SERVER, 77, 20, ONE, 117, 97),
        (SERVER, 78, 20, NONE, 118, 97),
        (SERVER, 20, 0, BOTH, 50, 97),  # a first release: what the role holds is somebody else's
        (replace(SERVER, used_by_role=30), 20, 20, BOTH, 50, 97),  # a standby holds 10 beyond the old pool
        (replace(SERVER, role_limit=30), 20, 20, ONE, 40, 30),
        (replace(SERVER, role_limit=30), 31, 20, NONE, 51, 30),
        (replace(SERVER, role_limit=40), 20, 20, BOTH, 40, 40),
        (replace(SERVER, database_limit=25, used_in_database=12), 20, 20, ONE, 42, 25),
        (replace(SERVER, used=97), 1, 20, ONE, 108, 97),  # what the old one holds becomes free
        (replace(SERVER, used=108), 1, 20, NONE, 119, 97),
    ],
)
def test_budget(room: Room, pool: int, old_pool: int, fits: str, wanted: int, takes: int) -> None:
    found = budget(room, pool, old_pool)
    assert (found.fits, found.wanted, found.takes) == (fits, wanted, takes)


def test_a_limit_of_one_of_many_databases_says_nothing() -> None:
    assert budget(replace(SERVER, database_limit=5), 20, 20, databases=19).fits == BOTH


def test_room_comes_from_what_a_session_saw() -> None:
    facts = {"most": 100, "reserved": 3, "used": 9, "used_by_role": 4, "used_in_database": 2, "role_limit": -1, "x": 1}
    assert room_from(facts) == Room(100, 3, 9, 4, 2)


def test_a_shortage_has_its_figures_and_a_way() -> None:
    told = str(shortage(budget(SERVER, 58, 20), SERVER, 58, 20, "shop sha-1"))
    assert "takes 97 connections (100 less 3 reserved), and 98 would be wanted: others hold 20" in told
    assert "this role holds 10, and the releases may hold 20 and 58; 1 too few" in told
    assert "when_short: stop_first" in told
    assert "stop_first" not in str(shortage(budget(SERVER, 90, 20), SERVER, 90, 20, "shop sha-1"))


_small = st.integers(0, 300)


@st.composite
def rooms(draw: st.DrawFn) -> Room:
    used = draw(_small)
    ours = draw(st.integers(0, used))
    limit = st.one_of(st.just(-1), _small)
    return Room(
        draw(_small), draw(st.integers(0, 20)), used, ours, draw(st.integers(0, used)), draw(limit), draw(limit)
    )


@given(rooms(), st.integers(1, 100), st.integers(0, 100))
def test_where_both_fit_no_limit_is_passed(room: Room, pool: int, old_pool: int) -> None:
    if budget(room, pool, old_pool).fits == BOTH:
        ours = max(room.used_by_role, old_pool) + pool
        assert room.used - room.used_by_role + ours <= room.most - room.reserved
        assert room.role_limit < 0 or ours <= room.role_limit


@given(rooms(), st.integers(1, 100), st.integers(0, 100))
def test_more_room_or_a_smaller_pool_never_makes_it_worse(room: Room, pool: int, old_pool: int) -> None:
    order = [NONE, ONE, BOTH]
    before = order.index(budget(room, pool, old_pool).fits)
    assert order.index(budget(replace(room, most=room.most + 1), pool, old_pool).fits) >= before
    assert order.index(budget(room, max(1, pool - 1), old_pool).fits) >= before


@given(rooms(), st.integers(1, 100), st.integers(1, 100))
def test_stop_first_is_offered_only_where_the_new_release_alone_fits(room: Room, pool: int, old_pool: int) -> None:
    if budget(room, pool, old_pool).fits == ONE:
        beyond = max(0, room.used_by_role - old_pool)
        assert room.used - room.used_by_role + beyond + pool <= room.most - room.reserved
