"""A ledger that hosts know, and what somebody with access to the bucket may do to it: the entry is named each time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from plugins.module_utils.model.statement import APPROVED, VERIFIED, Signed
from tests.lab.ledger_parts import (
    DEPLOY,
    OwnLedger,
    host_says,
    ledger_of,
    own_ledger,
    person_says,
    spool_on,
    spooled_on,
    unknowing,
)
from tests.lab.procedure_parts import ADDRESSES, Checkout, Run, play
from tests.unit.ledger.ledger_parts import edited, rechained

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, str]]:
    """Five sound entries, whose head both hosts keep."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"))
    own_ledger(checkout)
    with unknowing():
        for number in range(5):
            host = list(ADDRESSES)[number % 2]
            spool_on(host, host_says(host, environment=host.removesuffix("-1"), details=DEPLOY))
        for _ in range(2):  # the host that was first has to hear of what the other told
            run = play("tell_ledger", checkout=checkout.root)
            assert run.code == 0, run.text
        yield {number: ledger_of(checkout).text(number) for number in range(1, 6)}


@pytest.fixture
def five(checkout: Checkout, known: dict[int, str]) -> Checkout:
    """A checkout without a copy, and a ledger of its own with those five entries."""
    own = own_ledger(checkout)
    for number, text in known.items():
        assert own.storage().put(number, text)
    return checkout


def verify(checkout: Checkout, *words: str) -> Run:
    return play("verify_ledger", *words, checkout=checkout.root)


def overwrite_all(own: OwnLedger, texts: dict[int, str]) -> None:
    for number, text in texts.items():
        if own.text(number) != text:
            own.overwrite(number, text)


def swap(own: OwnLedger) -> None:
    overwrite_all(own, {2: own.text(3), 3: own.text(2)})


def link_anew(own: OwnLedger) -> None:
    texts = {number: own.text(number) for number in range(1, 6)}
    overwrite_all(own, rechained({**texts, 2: edited(texts[2], writer="eve@elsewhere")}, 2))


TAMPERING: dict[str, tuple[Callable[[OwnLedger], object], dict[str, str]]] = {
    "edited": (lambda own: own.overwrite(3, edited(own.text(3), writer="eve@elsewhere")), {"3": "edited"}),
    "no entry any more": (lambda own: own.overwrite(3, "{}"), {"3": "edited"}),
    "taken away": (lambda own: own.hide(2), {"2": "removed"}),
    "the newest taken away": (lambda own: own.hide(5), {"5": "truncated"}),
    "two swapped": (swap, {"2": "reordered", "3": "reordered"}),
    "edited and linked anew": (link_anew, {"2": "rewritten", "3": "edited", "4": "edited", "5": "edited"}),
    "one put behind the newest": (lambda own: own.overwrite(6, own.text(4)), {"6": "duplicate"}),
    "signed by nobody": (
        lambda own: own.ledger("eve").append(Signed(person_says(APPROVED).text, person_says(APPROVED).signature)),
        {"6": "foreign signature"},
    ),
    "signed by somebody who may not": (
        lambda own: own.ledger("eve").append(host_says("production-1", VERIFIED)),
        {"6": "foreign signature"},
    ),
}  # fmt: skip


def test_a_ledger_that_hosts_know_is_as_it_was_written(five: Checkout) -> None:
    run = verify(five)
    assert run.code == 0, run.text
    for words in ("5 entries, head 5:", "host staging-1 at 5", "host production-1 at 5", "signatures looked at: 5"):
        run.line(words)


@pytest.mark.parametrize("case", TAMPERING)
def test_tampering_is_named_by_its_entry_and_fails_the_run(case: str, five: Checkout) -> None:
    act, expected = TAMPERING[case]
    act(ledger_of(five))
    run = verify(five, "-e", "path=build/verified.json")
    assert run.code != 0, run.text
    rows = json.loads((five.root / "build" / "verified.json").read_text(encoding="utf-8"))["rows"]
    assert {str(row["number"]): row["kind"] for row in rows} == expected, run.text


def test_a_ledger_that_was_cut_is_noticed_by_the_next_who_writes_and_hosts_keep_what_they_have(five: Checkout) -> None:
    ledger_of(five).hide(5)
    waits = host_says("production-1", details=DEPLOY)
    spool_on("production-1", waits)
    run = play("tell_ledger", "--limit", "production", checkout=five.root)
    assert run.code != 0
    run.line("entry 5 (truncated): it was cut off: host production-1 knows of it")
    assert spooled_on("production-1") == [waits.statement.id]


def test_a_head_from_a_notification_is_a_witness(five: Checkout) -> None:
    head = ledger_of(five).ledger().head()
    assert verify(five, "-e", f"head={head}").code == 0
    other = verify(five, "-e", f"head={head.number}:{'0' * 12}")
    assert other.code != 0
    assert "whoever gave this head knows another entry 5" in other.text
    beyond = verify(five, "-e", f"head=7:{'0' * 12}")
    assert beyond.code != 0
    assert "it was cut off, with all up to entry 7: whoever gave this head knows of it" in beyond.text
    for nonsense in ("7", "7:xyz", ":", "7:abc", f"x:{'0' * 12}"):
        assert "is no head of the ledger" in verify(five, "-e", f"head={nonsense}").text
