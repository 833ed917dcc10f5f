"""An entry is read as it was written, or not at all."""

from __future__ import annotations

import json

import pytest

from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.ledger import NO_HEAD, Head, entry_from, hash_of, head_from
from tests.unit.ledger.ledger_parts import chain


def test_an_entry_comes_back_as_it_was_written() -> None:
    text = chain(2)[2]
    entry = entry_from(text)
    assert entry.text() == text
    assert entry.previous == hash_of(chain(1)[1])
    assert entry.head == Head(2, hash_of(text))
    assert entry.signed.statement.why == "because of 2"


def respelt(**changed: object) -> str:
    return json.dumps(json.loads(chain(1)[1]) | changed, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("[]", "its fields are not those of an entry"),
        (respelt(more=1), "its fields are not those of an entry"),
        (respelt(signed=[]), "its fields are not those of an entry"),
        (respelt(signed={"text": "a", "signature": "b", "more": "c"}), "its statement has other parts"),
        (respelt(signed={"text": "a", "signature": 1}), "text or signature is missing"),
        (respelt(number="1"), "a field has the wrong type"),
        (respelt(number=True), "a field has the wrong type"),
        (respelt(number=0), "a field has the wrong type"),
        (respelt(previous="A" * 64), "a field has the wrong type"),
        (respelt(writer=None), "a field has the wrong type"),
        (chain(1)[1] + "\n", "it is not in canonical form"),
        (chain(1)[1].replace('"number":1', '"number": 1'), "it is not in canonical form"),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_no_entry_is_refused(text: str, says: str) -> None:
    with pytest.raises(OpsError, match=says):
        entry_from(text)


def test_a_head_comes_back_as_it_was_written() -> None:
    for head in (NO_HEAD, Head(7, "a" * 64)):
        assert head_from(head.as_dict()) == head


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"number": 1},
        {"number": "1", "hash": "a" * 64},
        {"number": True, "hash": "a" * 64},
        {"number": 1, "hash": ""},
        {"number": 0, "hash": "a" * 64},
        {"number": -1, "hash": "a" * 64},
        {"number": 1, "hash": "A" * 64},
    ],
)
def test_what_is_no_head_is_refused(found: dict[str, object]) -> None:
    with pytest.raises(OpsError, match="no head of the ledger"):
        head_from(found)
