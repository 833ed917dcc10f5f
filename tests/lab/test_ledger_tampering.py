"""A ledger that hosts know, and what somebody with access to the bucket may do to it: the entry is named each time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from plugins.module_utils.model.statement import APPROVED, VERIFIED, Signed
from tests.lab.ledger_parts import DEPLOY, OwnCheckout, OwnLedger, host_says, own_checkout, own_state, person_says
from tests.lab.procedure_parts import ADDRESSES, Checkout
from tests.unit.ledger.ledger_parts import edited, rechained

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[int, str]]]:
    """Five sound entries; and where both hosts keep their head."""
    with own_state() as state:
        here = own_checkout(Checkout(tmp_path_factory.mktemp("checkout")), state)
        for number in range(5):
            host = list(ADDRESSES)[number % 2]
            here.spool(host, host_says(host, environment=host.removesuffix("-1"), details=DEPLOY))
        for _ in range(2):  # the host that was first has to hear of what the other told
            run = here.play("tell_ledger")
            assert run.code == 0, run.text
        yield state, {number: here.own.text(number) for number in range(1, 6)}
        here.own.erase()


@pytest.fixture
def five(checkout: Checkout, known: tuple[str, dict[int, str]]) -> Iterator[OwnCheckout]:
    """A checkout without a copy, and a ledger of its own with those five entries."""
    state, texts = known
    here = own_checkout(checkout, state)
    for number, text in texts.items():
        assert here.own.storage().put(number, text)
    yield here
    here.own.erase()


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


def test_a_ledger_that_hosts_know_is_as_it_was_written(five: OwnCheckout) -> None:
    run = five.play("verify_ledger")
    assert run.code == 0, run.text
    for words in ("5 entries, head 5:", "host staging-1 at 5", "host production-1 at 5", "signatures looked at: 5"):
        run.line(words)


@pytest.mark.parametrize("case", TAMPERING)
def test_tampering_is_named_by_its_entry_and_fails_the_run(case: str, five: OwnCheckout) -> None:
    act, expected = TAMPERING[case]
    act(five.own)
    run = five.play("verify_ledger", "-e", "path=build/verified.json")
    assert run.code != 0, run.text
    rows = json.loads((five.root / "build" / "verified.json").read_text(encoding="utf-8"))["rows"]
    assert {str(row["number"]): row["kind"] for row in rows} == expected, run.text


def test_a_ledger_that_was_cut_is_not_written_into_and_hosts_keep_what_they_have(
    five: OwnCheckout,
) -> None:
    five.own.hide(5)
    waits = host_says("production-1", details=DEPLOY)
    five.spool("production-1", waits)
    run = five.play("tell_ledger", "--limit", "production")
    assert run.code != 0
    run.line("entry 5 (truncated): it was cut off: host production-1 knows of it")
    assert five.waiting("production-1") == [waits.statement.id]


def test_a_head_from_a_notification_is_a_witness(five: OwnCheckout) -> None:
    head = five.own.ledger().head()
    assert five.play("verify_ledger", "-e", f"head={head}").code == 0
    other = five.play("verify_ledger", "-e", f"head={head.number}:{'0' * 12}")
    assert other.code != 0
    assert "whoever gave this head knows another entry 5" in other.text
    beyond = five.play("verify_ledger", "-e", f"head=7:{'0' * 12}")
    assert beyond.code != 0
    assert "it was cut off, with all up to entry 7: whoever gave this head knows of it" in beyond.text
    for nonsense in ("7", "7:xyz", ":", "7:abc", f"x:{'0' * 12}"):
        assert "is no head of the ledger" in five.play("verify_ledger", "-e", f"head={nonsense}").text
