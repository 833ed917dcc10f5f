"""Whatever is done to a ledger once is found, and the right entry is named."""

from __future__ import annotations

import contextlib

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.ledger import entry_from
from plugins.module_utils.plan.ledger import Chain, Witness, known_heads, verify
from tests.unit.ledger.ledger_parts import chain, edited, rechained, signed, witness

LONGEST = 9
LENGTHS = st.integers(1, LONGEST)
SOUND = {length: chain(length) for length in range(1, LONGEST + 1)}


def named(texts: dict[int, str], *witnesses: Witness) -> set[int]:
    return {one.number for one in verify(texts, witnesses=witnesses).findings}


def places(texts: dict[int, str]) -> st.SearchStrategy[int]:
    return st.integers(1, max(texts))


@given(data=st.data(), length=LENGTHS)
def test_a_sound_chain_is_sound_whoever_kept_which_heads(data: st.DataObject, length: int) -> None:
    texts = SOUND[length]
    kept = data.draw(st.lists(places(texts)))
    seen = verify(texts, witnesses=[witness(texts, number) for number in kept])
    assert seen.findings == ()


@settings(max_examples=400)
@given(data=st.data(), length=LENGTHS)
def test_any_byte_that_is_edited_is_found_in_its_entry(data: st.DataObject, length: int) -> None:
    texts = dict(SOUND[length])
    number = data.draw(places(texts))
    text = texts[number]
    at = data.draw(st.integers(0, len(text) - 1))
    byte = data.draw(st.characters(codec="utf-8"))
    assume(byte != text[at])
    texts[number] = text[:at] + byte + text[at + 1 :]
    assert named(texts, *known_heads("this machine", SOUND[length])) == {number}
    # Whoever kept the newest head alone knows that the last entry is another one, and not since when.
    with_one = named(texts, witness(SOUND[length]))
    assert with_one == {number} if number < length else with_one <= {1, number} and with_one


@settings(max_examples=200)
@given(data=st.data(), length=LENGTHS)
def test_without_a_witness_an_edit_within_is_found_beside_its_successor(data: st.DataObject, length: int) -> None:
    assume(length > 2)
    texts = dict(SOUND[length])
    number = data.draw(st.integers(1, length - 2))
    field = data.draw(st.sampled_from([{"writer": "eve"}, {"at": "never"}, {"previous": "e" * 64}]))
    texts[number] = edited(texts[number], **field)
    assert named(texts) == {number}


@given(data=st.data(), length=LENGTHS)
def test_any_entry_that_is_dropped_is_named(data: st.DataObject, length: int) -> None:
    texts = dict(SOUND[length])
    number = data.draw(places(texts))
    del texts[number]
    assert named(texts, witness(SOUND[length])) == {number}


@given(data=st.data(), length=LENGTHS)
def test_any_tail_that_is_cut_is_named_by_its_first_entry(data: st.DataObject, length: int) -> None:
    left = data.draw(st.integers(0, length - 1))
    texts = {number: text for number, text in SOUND[length].items() if number <= left}
    kept = data.draw(st.integers(left + 1, length))
    assert named(texts, witness(SOUND[length], kept)) == {left + 1}


@given(data=st.data(), length=LENGTHS)
def test_any_two_that_are_swapped_are_both_named(data: st.DataObject, length: int) -> None:
    assume(length > 1)
    texts = dict(SOUND[length])
    one, other = data.draw(st.lists(places(texts), min_size=2, max_size=2, unique=True))
    texts[one], texts[other] = texts[other], texts[one]
    assert named(texts) == {one, other}


@given(data=st.data(), length=LENGTHS)
def test_any_other_order_names_exactly_the_places_that_changed(data: st.DataObject, length: int) -> None:
    texts = SOUND[length]
    order = data.draw(st.permutations(sorted(texts)))
    moved = {place: texts[number] for place, number in zip(sorted(texts), order, strict=True)}
    assert named(moved) == {place for place in texts if moved[place] != texts[place]}


@given(data=st.data(), length=LENGTHS)
def test_any_copy_of_an_entry_is_named(data: st.DataObject, length: int) -> None:
    texts = dict(SOUND[length])
    source = data.draw(places(texts))
    target = data.draw(st.integers(1, length + 1))
    assume(target != source)
    texts[target] = texts[source]
    assert target in named(texts, witness(SOUND[length]))


@given(data=st.data(), length=LENGTHS)
def test_a_chain_that_is_linked_anew_after_an_edit_is_named_from_there(data: st.DataObject, length: int) -> None:
    texts = dict(SOUND[length])
    number = data.draw(places(texts))
    texts[number] = edited(texts[number], writer="eve@elsewhere")
    forged = rechained(texts, number)
    assert min(named(forged, *known_heads("this machine", SOUND[length]))) == number
    assert named(forged, witness(SOUND[length])), "a single head is enough to notice it"


@given(data=st.data(), length=LENGTHS)
def test_a_statement_put_in_between_is_found_by_a_head(data: st.DataObject, length: int) -> None:
    number = data.draw(places(SOUND[length]))
    said = [entry_from(text).signed for text in SOUND[length].values()]
    forged = chain(0, [*said[: number - 1], signed(99), *said[number - 1 :]])
    assert min(named(forged, *known_heads("this machine", SOUND[length]))) == number
    assert named(forged, witness(SOUND[length]))


@settings(max_examples=300)
@given(texts=st.dictionaries(st.integers(1, 6), st.sampled_from([*SOUND[4].values(), "", "{}", "nul"])), kept=LENGTHS)
def test_whatever_is_in_the_bucket_a_verdict_comes_back(texts: dict[int, str], kept: int) -> None:
    seen = verify(texts, witnesses=[witness(SOUND[kept])])
    assert isinstance(seen, Chain)
    whole = all(texts.get(number) == text for number, text in SOUND[kept].items()) and len(texts) == kept
    assert whole == (not seen.findings)


@given(st.text(max_size=30))
def test_any_text_is_an_entry_or_refused(text: str) -> None:
    with contextlib.suppress(OpsError):
        assert entry_from(text).text() == text
