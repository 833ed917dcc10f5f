"""Statements: one text for one meaning, and nothing else is taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.statement import (
    APPROVED,
    KINDS,
    Signed,
    Statement,
    definition_of,
    namespace_of,
    signed_from,
)

APPROVAL = Statement(
    kind=APPROVED,
    environment="production",
    stack="odoo18",
    release="sha-19b9b98",
    digests={"web": "sha256:" + "a" * 64},
    definition="d" * 64,
    by="josh@seisei.tokyo",
    at="2026-11-24T06:00:00.000Z",
    why="facture 18 für Tōkyō",
)


def test_a_statement_is_read_back_as_it_was_signed() -> None:
    signed = signed_from(Signed(APPROVAL.text(), "armour").as_dict())
    assert signed.statement == APPROVAL
    assert "Tōkyō" in signed.text


def test_each_statement_has_an_id_of_its_own() -> None:
    other = Statement(**{name: getattr(APPROVAL, name) for name in Statement.__dataclass_fields__ if name != "id"})
    assert len(other.id) == 32
    assert other.id != APPROVAL.id


def test_each_kind_is_signed_under_a_name_of_its_own() -> None:
    assert len({namespace_of(kind) for kind in KINDS}) == len(KINDS)


def changed(**more: Any) -> str:
    return json.dumps({**json.loads(APPROVAL.text()), **more}, sort_keys=True, separators=(",", ":"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ("[]", "its fields are not those of a statement"),
        (changed(more="1"), "its fields are not those of a statement: more"),
        (changed(digests={"web": 5}), "'digests' has the wrong type"),
        (APPROVAL.text().replace("josh", "\ud800"), "not JSON"),
        (changed(kind="allowed"), "'allowed' is not a kind of statement"),
        (changed(digests="sha256:"), "'digests' has the wrong type"),
        (changed(expires=None), "'expires' has the wrong type"),
        (APPROVAL.text() + " ", "not in canonical form"),
        (APPROVAL.text().replace('"at":', '"at": '), "not in canonical form"),
        (APPROVAL.text().replace('"at":', '"at":"2020-01-01","at":'), "not in canonical form"),
    ],
)
def test_what_is_no_statement_is_refused(text: str, why: str) -> None:
    with pytest.raises(OpsError, match="no signed statement") as caught:
        _ = Signed(text, "armour").statement
    assert why in str(caught.value)
    assert "Next: have its signer make it anew" in str(caught.value)


def test_a_definition_is_the_same_for_the_same_tree_however_it_is_written() -> None:
    written = {"name": "shop", "services": {"web": {"image": "${REGISTRY}/shop:${RELEASE}", "labels": {1: "x"}}}}
    travelled = json.loads(json.dumps(written))
    assert definition_of(written) == definition_of(travelled)
    assert len(definition_of(written)) == 64
    travelled["services"]["web"]["image"] = "${REGISTRY}/other:${RELEASE}"
    assert definition_of(written) != definition_of(travelled)
