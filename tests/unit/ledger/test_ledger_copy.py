"""The ledger as actions use it, over a storage in memory; over a real one, with several writers, in tests/lab."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from plugins.module_utils.model.environment import Aws, Environment, LedgerPlace, ObjectStorage, Registry
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.ledger import NO_HEAD, LedgerAway, LedgerTampered, Listing, hash_of
from plugins.module_utils.plan.ledger import EDITED, REMOVED, TRUNCATED
from plugins.plugin_utils.ledger import Ledger
from tests.unit.ledger.ledger_parts import chain, edited, rechained, signed

PLACE = LedgerPlace(bucket="led", prefix="a/b")


class Memory:
    """A bucket in memory. ``asked`` are the entries that somebody read."""

    where = "ledger in memory"

    def __init__(self, texts: dict[int, str] | None = None) -> None:
        self.texts = dict(texts or {})
        self.asked: list[int] = []
        self.rivals: list[str] = []

    def listing(self) -> Listing:
        return Listing({number: hash_of(text)[:8] for number, text in self.texts.items()}, ())

    def read(self, numbers: Iterable[int]) -> dict[int, tuple[str, str]]:
        wanted = sorted(numbers)
        self.asked += wanted
        return {number: (self.texts[number], hash_of(self.texts[number])[:8]) for number in wanted}

    def put(self, number: int, text: str) -> str:
        if self.rivals:
            self.texts[number] = self.rivals.pop(0)
        if number in self.texts:
            return ""
        self.texts[number] = text
        return hash_of(text)[:8]


def environment(place: LedgerPlace = PLACE) -> Environment:
    return Environment("production", Registry(), Aws(), ObjectStorage(), place)


def ledger(memory: Memory, copies: Path) -> Ledger:
    return Ledger(environment(), copies=copies, storage=memory, writer="ops@laptop")


def test_an_environment_without_a_ledger_says_so() -> None:
    with pytest.raises(OpsError, match=r"environment 'production' declares no ledger\. Next: name the bucket"):
        Ledger(environment(LedgerPlace()))


def test_what_was_appended_is_read_by_everybody(tmp_path: Path) -> None:
    memory = Memory()
    mine = ledger(memory, tmp_path / "mine")
    assert (mine.entries(), mine.head()) == ((), NO_HEAD)
    first, second = mine.append(signed(1)), mine.append(signed(2))
    assert (first.number, second.number, second.previous) == (1, 2, first.head.hash)
    assert mine.head() == second.head
    assert ledger(memory, tmp_path / "yours").signed() == [signed(1), signed(2)]


def test_a_statement_is_written_once(tmp_path: Path) -> None:
    memory = Memory()
    assert ledger(memory, tmp_path).append(signed(1)) == ledger(memory, tmp_path).append(signed(1))
    assert len(memory.texts) == 1
    with pytest.raises(OpsError, match="entry 1 has another statement with this id"):
        ledger(memory, tmp_path).append(signed(1, why="something else"))


def test_what_waits_is_merged_in_the_order_it_was_said_and_only_what_is_missing(tmp_path: Path) -> None:
    late, early = signed(1, at="2026-11-25T07:00:00.000Z"), signed(2, at="2026-11-25T05:00:00.000Z")
    memory = Memory(chain(1, [signed(3)]))
    entries = ledger(memory, tmp_path).merge([late, early, signed(3)])
    assert sorted(entry.number for entry in entries) == [1, 2, 3]
    assert ledger(memory, tmp_path).signed() == [signed(3), early, late]


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    memory = Memory(chain(4))
    ledger(memory, tmp_path).entries()
    assert memory.asked == [1, 2, 3, 4]
    memory.texts = chain(6)
    ledger(memory, tmp_path).entries()
    assert memory.asked == [1, 2, 3, 4, 5, 6]
    ledger(memory, tmp_path).append(signed(7))
    ledger(memory, tmp_path).entries()
    assert memory.asked == [1, 2, 3, 4, 5, 6], "what it wrote itself it knows"


def test_a_number_that_somebody_else_took_is_linked_anew(tmp_path: Path) -> None:
    memory = Memory()
    mine = ledger(memory, tmp_path)
    mine.entries()
    memory.rivals = list(chain(3, [signed(11), signed(12), signed(13)]).values())
    assert mine.append(signed(1)).number == 4
    assert ledger(memory, tmp_path / "other").signed() == [signed(11), signed(12), signed(13), signed(1)]


def test_a_statement_that_somebody_else_wrote_meanwhile_is_not_written_twice(tmp_path: Path) -> None:
    memory = Memory()
    mine = ledger(memory, tmp_path)
    mine.entries()
    memory.rivals = [chain(1)[1]]
    assert mine.append(signed(1)).number == 1
    assert len(memory.texts) == 1


def test_who_never_gets_a_number_gives_up_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.plugin_utils.ledger._TRIES", 3)
    memory = Memory()
    memory.rivals = list(chain(9, [signed(100 + n) for n in range(9)]).values())
    with pytest.raises(LedgerAway, match="somebody else took the next number 3 times in a row"):
        ledger(memory, tmp_path).append(signed(1))


SOUND = chain(5)
TAMPERED = {
    "an edit": ({**SOUND, 2: edited(SOUND[2], writer="eve@x")}, (2, EDITED)),
    "an edit, linked anew": (rechained({**SOUND, 2: edited(SOUND[2], writer="eve@x")}, 2), (2, "rewritten")),
    "an edit of the newest": ({**SOUND, 5: edited(SOUND[5], writer="eve@x")}, (5, EDITED)),
    "one taken away": ({n: text for n, text in SOUND.items() if n != 3}, (3, REMOVED)),
    "the tail cut off": ({n: text for n, text in SOUND.items() if n < 4}, (4, TRUNCATED)),
    "everything taken away": ({}, (1, TRUNCATED)),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_whoever_knew_the_ledger_notices(case: str, tmp_path: Path) -> None:
    texts, expected = TAMPERED[case]
    memory = Memory(SOUND)
    ledger(memory, tmp_path).entries()
    memory.texts = dict(texts)
    found = ledger(memory, tmp_path)
    assert [(one.number, one.kind) for one in found.chain().findings] == [expected]
    for act in (found.entries, found.head, lambda: found.append(signed(99))):
        with pytest.raises(LedgerTampered, match=f"entry {expected[0]} "):
            act()
    assert memory.texts == texts, "nothing is built upon it"
    memory.texts = SOUND
    assert len(ledger(memory, tmp_path).entries()) == 5, "mended in the bucket, it is sound again"


def copy_of(folder: Path) -> Path:
    return folder / "ap-northeast-1-led-a-b.jsonl"


@pytest.mark.parametrize("spoilt", ["", "\n[1, 2", '[1,"x","{}"]\n[9,"y","{}"]\n', "\x00\xff", "[]\n{}\n"])
def test_a_copy_that_is_spoilt_gives_way_to_the_bucket(spoilt: str, tmp_path: Path) -> None:
    memory = Memory(SOUND)
    tmp_path.mkdir(exist_ok=True)
    copy_of(tmp_path).write_text(spoilt, encoding="utf-8")
    assert len(ledger(memory, tmp_path).entries()) == 5
    memory.asked = []
    assert len(ledger(memory, tmp_path).entries()) == 5
    assert memory.asked == []


def test_a_copy_that_somebody_edited_is_not_believed_over_the_bucket(tmp_path: Path) -> None:
    memory = Memory(SOUND)
    ledger(memory, tmp_path).entries()
    path = copy_of(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace("because of 3", "because of ."), encoding="utf-8")
    assert [one.signed.statement.why for one in ledger(memory, tmp_path).entries()][2] == "because of 3"


def test_a_line_that_a_crash_has_cut_costs_one_reading(tmp_path: Path) -> None:
    memory = Memory(SOUND)
    ledger(memory, tmp_path).entries()
    path = copy_of(tmp_path)
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    memory.asked, memory.texts = [], chain(6)
    assert len(ledger(memory, tmp_path).entries()) == 6
    assert memory.asked == [5, 6]
    assert len(ledger(memory, tmp_path).entries()) == 6
    assert memory.asked == [5, 6]


def test_a_copy_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OpsError, match="this machine's copy of the ledger cannot be used"):
        ledger(Memory(SOUND), tmp_path / "file").entries()


def test_the_ledger_of_the_lab_and_a_real_one_have_copies_of_their_own(tmp_path: Path) -> None:
    lab = LedgerPlace("led", endpoint="https://10.213.0.4:5000")
    names = {Ledger(environment(place), copies=tmp_path).copy.path.name for place in (lab, LedgerPlace("led"), PLACE)}
    assert names == {"10.213.0.4-led.jsonl", "ap-northeast-1-led.jsonl", "ap-northeast-1-led-a-b.jsonl"}
