"""A stack file as a playbook's action reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.model.errors import OpsError
from plugins.plugin_utils.estate import load_stack, stack_names

GOOD = "name: shop\nx-common: {a: b}\nservices: {web: {image: '${REGISTRY}/shop:1', healthcheck: {test: go}}}\n"


def test_the_author_s_own_keys_are_not_sent_to_hosts(tmp_path: Path) -> None:
    (tmp_path / "shop.yml").write_text(GOOD)
    stack = load_stack("shop", {"REGISTRY": "r"}, folder=tmp_path)
    assert stack.tree == {"name": "shop", "services": {"web": {"image": "r/shop:1", "healthcheck": {"test": "go"}}}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- name: shop\n", "inventories/stacks/shop.yml:1: expected a mapping, found a list"),
        ("shop\n", "inventories/stacks/shop.yml:1: expected a mapping, found text"),
        ("", "inventories/stacks/shop.yml: a stack needs a name"),
        (GOOD.replace("name: shop", "name: shopp"), "says name: shopp. Next: name the file or the stack alike: shop"),
        (GOOD.replace("REGISTRY", "REGISTRI"), "shop.yml:3 services.web.image: variable 'REGISTRI' has no value"),
        (GOOD + "  bad\n", "inventories/stacks/shop.yml:4: is not YAML"),
    ],
)
def test_a_malformed_file_is_told_in_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "shop.yml").write_text(text)
    with pytest.raises(OpsError) as caught:
        load_stack("shop", {"REGISTRY": "r"}, folder=tmp_path)
    assert says in str(caught.value)


def test_an_unknown_stack_names_the_nearest_or_all() -> None:
    with pytest.raises(OpsError, match=r"there is no stack 'odoo17'. Next: did you mean 'odoo18'\?"):
        load_stack("odoo17", {})
    with pytest.raises(OpsError, match=f"known stacks: {', '.join(stack_names())}"):
        load_stack("zzz", {})
