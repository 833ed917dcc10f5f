"""The reader of plain trees: where things stand, what scalars may be, and everything that is wrong at once."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.gateway.stack_file import read_text
from plugins.module_utils.model.document import Node, nearest
from plugins.module_utils.model.errors import InvalidInput, OpsError


def node(value: Any) -> Node:
    return Node(value, "f.yml", ("a",), {("a",): 3})


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("1m30s", 90),
        ("500ms", 0.5),
        ("1h", 3600),
        ("1.5s", 1.5),
        (7, 7),
        (None, 4),
        ("1h5m30s20ms", 3930.02),
        ("10us", 1e-5),
    ],
)
def test_durations(text: Any, seconds: float) -> None:
    assert node(text).seconds(4) == seconds


@pytest.mark.parametrize(
    "text", ["", "30", "s", "30s\n", "-1s", "1d", "1s 2s", -1, True, float("inf"), float("nan"), []]
)
def test_what_is_no_duration(text: Any) -> None:
    read = node(text)
    assert read.seconds(4) == 4
    assert len(read.errors) == 1


@pytest.mark.parametrize(
    ("text", "size"),
    [("512m", 512 << 20), ("1g", 1 << 30), ("4KB", 4096), (7, 7), ("9b", 9), ("1.5g", 3 << 29), ("0.5kb", 512)],
)
def test_sizes(text: Any, size: int) -> None:
    assert node(text).size() == size


@pytest.mark.parametrize("text", ["1.5 g", ".5g", "1gib", "1t", "-1", "m", "1g\n", True, []])
def test_what_is_no_size(text: Any) -> None:
    read = node(text)
    assert read.size(5) == 5
    assert len(read.errors) == 1


@pytest.mark.parametrize(("value", "number"), [("0.5", 0.5), (2, 2.0), ("-1", -1.0), (None, 9.0)])
def test_numbers(value: Any, number: float) -> None:
    assert node(value).number(9) == number


@pytest.mark.parametrize("value", ["nan", "inf", "1_0", float("nan"), float("inf"), True, "", []])
def test_what_is_no_number(value: Any) -> None:
    read = node(value)
    assert read.number(9) == 9
    assert len(read.errors) == 1


@pytest.mark.parametrize(("value", "number"), [("12", 12), (12, 12), ("-3", -3), (None, 9)])
def test_whole_numbers(value: Any, number: int) -> None:
    assert node(value).integer(9) == number


@pytest.mark.parametrize("value", [1.5, "1.5", True, "x", []])
def test_what_is_no_whole_number(value: Any) -> None:
    read = node(value)
    assert read.integer(9) == 9
    assert len(read.errors) == 1


def test_a_place_is_the_line_of_the_nearest_value_that_has_one() -> None:
    deep = node({}).child("b", []).child(0, "x").child("c", "y")
    assert deep.where == "f.yml:3 a.b[0].c"
    assert Node(1, "wire").where == "wire"


def test_finish_raises_everything_at_once() -> None:
    read = node({"image": 1, "imago": 2, "other": 3})
    read.mapping(("image",))
    with pytest.raises(InvalidInput) as caught:
        read.finish()
    assert [error.as_dict() for error in caught.value.errors] == [
        {"what": "'imago' is not accepted here", "where": "f.yml:3 a.imago", "do": "did you mean 'image'?"},
        {"what": "'other' is not accepted here", "where": "f.yml:3 a.other", "do": "accepted: image"},
    ]


def test_the_nearest_word() -> None:
    assert nearest("odoo", ["odoo18", "www"]) == "odoo18"
    assert nearest("zzz", ["odoo18", "www"]) == ""


def test_times_truth_and_numbers_stay_as_they_were_written() -> None:
    value = read_text("[2026-11-22, on, off, yes, no, true, 1.10, 1.5, 010, 8, 1:30, .inf, 1_0, ~]", "f").value
    assert value == ["2026-11-22", "on", "off", "yes", "no", True, "1.10", 1.5, "010", 8, "1:30", ".inf", "1_0", None]


@pytest.mark.parametrize("text", ["[" * 3000, "- " * 3000, "a: !!int", "a: !!float x", "a: !!bool maybe", "\x01"])
def test_what_yaml_itself_does_not_survive_is_told(text: str) -> None:
    with pytest.raises(OpsError):
        read_text(text, "f.yml")


def test_lines_of_text_that_begins_further_down() -> None:
    found = read_text("a: 1\nb:\n  - 2\n  - c: 3\n", "page.md", first_line=10)
    assert found.lines == {(): 10, ("a",): 10, ("b",): 11, ("b", 0): 12, ("b", 1): 13, ("b", 1, "c"): 13}
    with pytest.raises(OpsError, match=r"page\.md:11: 'a' stands twice"):
        read_text("a: 1\na: 2\n", "page.md", first_line=10)
    with pytest.raises(OpsError, match=r"page\.md:11: is not YAML"):
        read_text("a: 1\n]\n", "page.md", first_line=10)
