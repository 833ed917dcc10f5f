"""YAML with the line of every value."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.gateway.stack_file import _QUICK, _TELLING, _read, read_text
from plugins.module_utils.model.errors import OpsError


def test_values_know_their_line() -> None:
    node = read_text("a:\n  b: 1\nc:\n  - x\n  - y: 2\n", "f.yml", first_line=10)
    assert node.value == {"a": {"b": 1}, "c": ["x", {"y": 2}]}
    assert node.mapping()["a"].mapping()["b"].where == "f.yml:11 a.b"
    assert list(node.mapping()["c"].items())[1].mapping()["y"].where == "f.yml:14 c[1].y"


def test_times_stay_text_so_that_the_tree_can_travel() -> None:
    assert read_text("when: 2026-02-01T09:30:00+09:00\nday: 2026-02-01\n", "f.yml").value == {
        "when": "2026-02-01T09:30:00+09:00",
        "day": "2026-02-01",
    }


def test_an_empty_document_is_an_empty_mapping() -> None:
    assert read_text("", "f.yml").value == {}


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yml:3", "'a' stands twice"),
        ("a: [1\nb: 2\n", "f.yml:2", "is not YAML"),
        ("a: 1\n\tb: 2\n", "f.yml:2", "is not YAML"),
        ("a: !secret x\n", "f.yml:1", "the tag !secret is not accepted"),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(text: str, where: str, what: str) -> None:
    with pytest.raises(OpsError) as caught:
        read_text(text, "f.yml")
    assert caught.value.where == where
    assert what in caught.value.what


ROOT = Path(__file__).resolve().parents[3]
FILES = [*ROOT.glob("inventories/**/*.yml"), *ROOT.glob("tests/differential/cases/*.yml")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_the_quick_reader_reads_as_the_telling_one(file: Path) -> None:
    quick, telling = (_read(file.read_text(encoding="utf-8"), "f.yml", 0, kind) for kind in (_QUICK, _TELLING))
    assert (quick.value, quick.lines) == (telling.value, telling.lines)
