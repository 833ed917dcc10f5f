"""What was changed in a ledger, and who can tell. The properties beside this say that nothing goes unnoticed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plugins.module_utils.model.ledger import LedgerTampered, Version, entry_from
from plugins.module_utils.model.statement import Signed
from plugins.module_utils.plan.ledger import (
    DUPLICATE,
    EDITED,
    FOREIGN,
    FORKED,
    REMOVED,
    REORDERED,
    REWRITTEN,
    TRUNCATED,
    Finding,
    known_heads,
    next_entry,
    verify,
    with_versions,
)
from tests.unit.ledger.ledger_parts import AT, WRITER, chain, edited, head_of, rechained, signed, witness

SOUND = chain(6)


def found(texts: dict[int, str], *witnesses: object, **more: object) -> list[tuple[int, str]]:
    chain_found = verify(texts, witnesses=witnesses, **more)  # type: ignore[arg-type]
    return [(one.number, one.kind) for one in chain_found.findings]


def test_a_sound_ledger_is_sound() -> None:
    seen = verify(SOUND, witnesses=[witness(SOUND), witness(SOUND, 3)])
    assert (seen.findings, [one.number for one in seen.entries], seen.head) == ((), [1, 2, 3, 4, 5, 6], head_of(SOUND))
    assert seen.sound() is seen


def test_an_empty_ledger_is_sound_until_somebody_knows_better() -> None:
    assert found({}) == []
    assert found({}, witness(SOUND)) == [(1, TRUNCATED)]


def test_a_witness_of_an_older_head_says_nothing_against_a_longer_ledger() -> None:
    assert found(SOUND, witness(SOUND, 2)) == []


EDITS = {
    "a field of one within": ({3: edited(SOUND[3], writer="eve@elsewhere")}, [(3, EDITED)]),
    "the first": ({1: edited(SOUND[1], at="2026-01-01T00:00:00.000Z")}, [(1, EDITED)]),
    "the link of one within": ({3: edited(SOUND[3], previous="e" * 64)}, [(3, EDITED)]),
    "the link of the first": ({1: edited(SOUND[1], previous="e" * 64)}, [(1, EDITED)]),
    "bytes that are no entry": ({4: "{}"}, [(4, EDITED)]),
    "two, apart": (
        {2: edited(SOUND[2], writer="eve@elsewhere"), 5: edited(SOUND[5], previous="e" * 64)},
        [(2, EDITED), (5, EDITED)],
    ),
    "one replaced by a copy of another": ({4: SOUND[2]}, [(4, DUPLICATE)]),
    "one swapped with another": ({2: SOUND[5], 5: SOUND[2]}, [(2, REORDERED), (5, REORDERED)]),
    "a copy at the end": ({7: SOUND[6]}, [(7, DUPLICATE)]),
    "another entry of a number that is taken": (
        {4: edited(SOUND[2], writer="eve@elsewhere")},
        [(4, FORKED)],
    ),
}


@pytest.mark.parametrize("case", EDITS)
def test_an_edit_is_named(case: str) -> None:
    changed, expected = EDITS[case]
    assert found({**SOUND, **changed}, witness(SOUND)) == expected


def test_the_last_two_may_not_be_told_apart_without_a_witness() -> None:
    body = {**SOUND, 5: edited(SOUND[5], writer="eve@elsewhere")}
    assert found(body) == [(5, EDITED), (6, EDITED)]
    assert found(body, witness(SOUND)) == [(5, EDITED)]
    assert found(body, witness(SOUND, 5)) == [(5, EDITED)]
    assert found(body, signatures={5: "forged"}) == [(5, FOREIGN)]
    link = {**SOUND, 6: edited(SOUND[6], previous="e" * 64)}
    assert found(link) == [(5, EDITED), (6, EDITED)]
    assert found(link, witness(SOUND, 5)) == [(6, EDITED)]
    assert found(link, witness(SOUND)) == [(6, EDITED)]


def test_one_that_was_taken_away_is_named() -> None:
    assert found({n: text for n, text in SOUND.items() if n != 3}) == [(3, REMOVED)]
    assert found({n: text for n, text in SOUND.items() if n not in (1, 4)}) == [(1, REMOVED), (4, REMOVED)]


@pytest.mark.parametrize("left", range(6))
def test_a_tail_that_was_cut_off_is_named_where_somebody_knows_of_it(left: int) -> None:
    texts = {number: text for number, text in SOUND.items() if number <= left}
    assert found(texts, witness(SOUND)) == [(left + 1, TRUNCATED)]
    (finding,) = verify(texts, witnesses=[witness(SOUND)]).findings
    assert "host production-1 knows of it" in finding.what
    assert ("entry 6" in finding.what) == (left < 5)


def test_a_chain_that_was_linked_anew_is_told_by_the_first_witness_against_it() -> None:
    forged = rechained({**SOUND, 3: edited(SOUND[3], writer="eve@elsewhere")}, 3)
    assert found(forged) == []
    assert found(forged, witness(SOUND)) == [(1, REWRITTEN)]
    assert found(forged, witness(SOUND), witness(SOUND, 2)) == [(3, REWRITTEN)]
    assert found(forged, *known_heads("this machine", SOUND)) == [(3, REWRITTEN)]
    (finding,) = verify(forged, witnesses=[witness(SOUND), witness(SOUND, 2)]).findings
    anew = "somewhere from it to entry 6 the ledger was written anew"
    assert finding.what == f"{anew}: host production-1 knows another entry 6"


def test_the_last_entry_is_known_otherwise() -> None:
    assert found({**SOUND, 6: edited(SOUND[6], writer="x@y")}, *known_heads("this machine", SOUND)) == [(6, EDITED)]


def test_a_chain_without_one_entry_and_linked_anew_is_told_by_a_witness() -> None:
    five = [signed(number) for number in (1, 2, 4, 5, 6)]
    assert found(chain(5, five), *known_heads("this machine", SOUND)) == [(3, REWRITTEN), (6, TRUNCATED)]


def test_a_statement_counts_once() -> None:
    assert found(chain(3, [signed(1), signed(2), signed(1)])) == [(3, DUPLICATE)]
    assert found(chain(2, [signed(1), signed(1, why="another text, the same id")])) == [(2, DUPLICATE)]


def test_what_is_no_statement_is_named() -> None:
    assert found(chain(2, [signed(1), replace(signed(2), text="{}")])) == [(2, FOREIGN)]


def test_a_signature_that_does_not_count_is_named_with_its_reason() -> None:
    seen = verify(SOUND, signatures={2: "", 4: "signed by nobody who is known"})
    assert [str(one) for one in seen.findings] == ["entry 4 (foreign signature): signed by nobody who is known"]


def test_an_unsound_ledger_is_not_built_upon() -> None:
    texts = {number: text for number, text in chain(9).items() if number not in (1, 3, 5, 7)}
    with pytest.raises(LedgerTampered) as caught:
        verify(texts).sound()
    assert caught.value.what.startswith("the ledger is not as it was written: entry 1 (removed): it is not there")
    assert caught.value.what.endswith("and 1 more")


def test_entries_that_can_be_read_are_returned_in_order_all_the_same() -> None:
    seen = verify({**SOUND, 3: "?", 2: SOUND[5], 5: SOUND[2]})
    assert [one.number for one in seen.entries] == [1, 2, 4, 5, 6]
    assert entry_from(SOUND[2]) in seen.entries


def version(at: str, *, latest: bool = False, gone: bool = False) -> Version:
    return Version(f"v{at}", at, latest, gone)


def test_versions_tell_what_was_deleted_even_where_nobody_kept_a_head() -> None:
    versions = {
        1: (version("1", latest=True),),
        2: (version("5", latest=True, gone=True), version("2")),
        3: (version("6", latest=True), version("4", gone=True), version("3")),
    }
    found = with_versions([Finding(3, EDITED, "it is odd"), Finding(1, FOREIGN, "unknown")], versions)
    kept = "as it was first written, at {0}, it is kept as version v{0}"
    assert [str(one) for one in found] == [
        "entry 1 (foreign signature): unknown",
        f"entry 2 (removed): it was deleted at 5; {kept.format(2)}",
        f"entry 3 (edited): it is odd; it was written again at 6; {kept.format(3)}",
    ]


def test_versions_tell_since_when_it_was_written_anew() -> None:
    versions = {1: (version("1", latest=True),), 2: (version("8", latest=True), version("2"))}
    (found,) = with_versions([Finding(1, REWRITTEN, "somebody knows another entry 5")], versions)
    assert (found.number, found.kind) == (2, REWRITTEN)
    assert found.what.startswith("somebody knows another entry 5; it was written again at 8")


def test_an_object_far_away_is_one_gap_however_wide_it_is() -> None:
    seen = verify({**chain(2), 10**12 - 1: "{}"})
    assert [(one.number, one.kind) for one in seen.findings] == [(3, REMOVED), (10**12 - 1, EDITED)]
    assert "it is not there, with all up to entry 999999999998, and entry 999999999999 is" in str(seen.findings[0])


@pytest.mark.parametrize("depth", [21, 900, 2_000, 200_000])
def test_a_statement_that_is_nested_too_deeply_is_a_finding(depth: int) -> None:
    texts = chain(1)
    text = signed(2).text.replace('"details":{}', '"details":' + '{"a":' * depth + "1" + "}" * depth)
    texts[2] = next_entry(head_of(texts), Signed(text, "junk"), at=AT, writer=WRITER).text()
    seen = verify(texts)
    assert [(one.number, one.kind) for one in seen.findings] == [(2, FOREIGN)]
    with pytest.raises(LedgerTampered, match="nested too deeply"):
        seen.sound()


def test_a_statement_that_is_no_utf_8_is_a_finding() -> None:
    odd = Signed(signed(1).text.replace("because", "\ud800"), "junk")
    assert found(chain(1, [odd])) == [(1, FOREIGN)]
