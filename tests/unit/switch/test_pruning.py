"""Which images go: examples, and that nothing that anybody may want ever does."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.release import Release, StackState
from plugins.module_utils.plan.pruning import images_of, kept_images, prunable
from plugins.module_utils.plan.release import rollback_target


def record(number: int, digest: str = "", stack: str = "shop") -> Release:
    return Release(
        number=number,
        stack=stack,
        release=f"sha-{number:07d}",
        digests={"web": f"sha256:{digest or number}"},
        tree={"services": {"web": {"image": "registry.lab:5000/shop:${RELEASE}"}}},
        definition="d",
        secrets={},
        created_at="2026-11-22T00:00:00.000Z",
    )


def done(*numbers: int) -> list[dict[str, Any]]:
    return [{"outcome": "done", "number": number} for number in numbers]


def image(digest: Any) -> str:
    return f"registry.lab:5000/shop@sha256:{digest}"


def kept(*records: Release, state: StackState, keep: int) -> set[str]:
    return kept_images(records, images_of(records), state, done(*(one.number for one in records)), keep)


def test_an_image_is_called_as_its_container_asks_for_it() -> None:
    assert images_of([record(1)]) == {1: (image(1),)}


def test_the_newest_good_releases_stay() -> None:
    records = [record(number) for number in range(1, 8)]
    state = StackState(live=7, standby=6, last=7, bad=(5,))
    assert kept(*records, state=state, keep=3) == {image(7), image(6), image(4)}


def test_live_and_standby_stay_however_old() -> None:
    records = [record(number) for number in range(1, 8)]
    assert kept(*records, state=StackState(live=1, standby=2, last=7), keep=2) == {
        image(1),
        image(2),
        image(7),
    }


def test_the_way_back_stays_however_much_was_tried_since() -> None:
    records = [record(number) for number in range(1, 8)]
    history = done(1, 2, *(number for tried in range(3, 8) for number in (tried, 2)))
    state = StackState(live=2, standby=7, last=7)
    assert rollback_target(records, state, history).number == 1
    assert kept_images(records, images_of(records), state, history, 3) == {image(1), image(2), image(7)}


@given(st.lists(st.integers(1, 8), min_size=1, max_size=20), st.integers(2, 5), st.data())
def test_as_many_steps_back_as_are_kept_need_no_registry(lived: list[int], keep: int, data: st.DataObject) -> None:
    records = [record(number) for number in range(1, 9)]
    others = sorted(set(range(1, 9)) - {lived[-1]})
    bad = tuple(data.draw(st.sets(st.sampled_from(others), max_size=3)))
    state, history = StackState(live=lived[-1], standby=0, last=8, bad=bad), done(*lived)
    stays = kept_images(records, images_of(records), state, history, keep)
    for steps in range(1, keep):
        with suppress(OpsError):  # there are not that many
            assert image(rollback_target(records, state, history, steps=steps).number) in stays


def test_releases_of_one_digest_count_once() -> None:
    records = [record(1, "a"), record(2, "b"), record(3, "c"), record(4, "c"), record(5, "c")]
    assert kept(*records, state=StackState(live=5, standby=4, last=5), keep=2) == {image("c"), image("b")}


def test_what_never_took_traffic_is_no_target() -> None:
    records = [record(1), record(2), record(3)]
    found = kept_images(records, images_of(records), StackState(live=1, last=3), done(1), 5)
    assert found == {image(1)}


_digests = st.sampled_from("abcdefgh")


@given(
    st.lists(_digests, max_size=12), st.sets(_digests), st.sets(_digests), st.sets(_digests), st.integers(2, 5),
    st.data(),
)  # fmt: skip
def test_nothing_that_anybody_may_want_goes(
    digests: list[str], used: set[str], elsewhere: set[str], held: set[str], keep: int, data: st.DataObject
) -> None:
    records = [record(number, digest) for number, digest in enumerate(digests, 1)]
    numbers = st.integers(0, len(records))
    state = StackState(data.draw(numbers), data.draw(numbers), len(records))
    own = images_of(records)
    stays = kept_images(records, own, state, done(*own), keep)
    to_images = [{image(one) for one in group} for group in (used, elsewhere, held)]
    goes = set(prunable(own, stays, to_images[0], to_images[1], to_images[2]))
    assert goes <= {image(one) for one in digests} & to_images[2]
    assert not goes & (stays | to_images[0] | to_images[1])
    for number in (state.live, state.standby):
        assert not goes & set(own.get(number, ()))
