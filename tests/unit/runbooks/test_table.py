"""Tables, CSV and JSON from rows."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from plugins.module_utils.model.document import Node
from plugins.module_utils.model.errors import InvalidInput
from plugins.module_utils.plan.table import Column, compose, ordered, pad, parse_columns, width

COLUMNS = (Column("host", "Host"), Column("tenant", "Tenant"), Column("sessions", "Sessions", "number"))
ROWS: list[dict[str, Any]] = [
    {"host": "staging-1", "tenant": "長城株式会社", "sessions": 12},
    {"host": "production-1", "tenant": "acme", "sessions": 12345},
    {"host": "production-1", "tenant": None, "sessions": None},
]


def test_columns_line_up_on_the_terminal_with_wide_characters_too() -> None:
    lines = compose(COLUMNS, ROWS, form="table", title="Tenants")
    assert lines[0] == "Tenants"
    # The figures end in the same column: the width of every full line is the same, as a terminal counts.
    assert len({cell_len(line) for line in lines[1:]}) == 1
    assert lines[3].endswith("      12")
    assert lines[4].endswith("  12,345")


def test_nothing_is_shown_as_a_dash_and_no_rows_as_nothing() -> None:
    assert compose(COLUMNS, ROWS, form="table")[-1].split() == ["production-1", "–", "–"]
    assert compose(COLUMNS, [], form="table", title="T") == ["T", "  (nothing)"]


def test_a_line_break_in_a_value_does_not_tear_the_table() -> None:
    assert len(compose(COLUMNS[:1], [{"host": "a\nb\tc"}], form="table")) == 3


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        ("text", True, "yes"),
        ("text", ["a", "b"], "a, b"),
        ("text", 0, "0"),
        ("time", "2026-02-01T00:30:00+00:00", "2026-02-01 09:30"),
        ("time", "2026-02-01T15:30:00Z", "2026-02-02 00:30"),
        ("time", "long ago", "long ago"),
        ("digest", "sha256:0123456789abcdef0123", "0123456789ab"),
        ("seconds", 9.876, "9.9 s"),
        ("bytes", 999, "999 B"),
        ("bytes", 1_234_567, "1.2 MB"),
        ("number", "many", "many"),
    ],
)
def test_kinds_of_values(kind: str, value: Any, shown: str) -> None:
    assert compose([Column("x", "X", kind)], [{"x": value}], form="table")[-1].strip() == shown


def test_json_keeps_rows_whole_and_csv_the_values_of_its_columns() -> None:
    columns = [Column("digest", "Digest", "digest"), Column("note", "Note")]
    rows = [{"digest": "sha256:" + "a" * 64, "note": 'he said "落ちた", twice\nand left', "other": 1}]
    assert json.loads("\n".join(compose(columns, rows, form="json"))) == rows
    [read] = csv.DictReader(io.StringIO("\n".join(compose(columns, rows, form="csv")), newline=""))
    assert read == {"digest": rows[0]["digest"], "note": rows[0]["note"]}


@given(st.lists(st.fixed_dictionaries({"a": st.text(), "b": st.integers()}), max_size=4))
def test_json_reads_back_whatever_the_values(rows: list[dict[str, Any]]) -> None:
    columns = [Column("a", "A"), Column("b", "B")]
    assert json.loads("\n".join(compose(columns, rows, form="json"))) == rows


# What our tables hold: Latin letters, Chinese and Japanese (ideographs, kana, full-width forms), Korean syllables.
SCRIPTS = ((0x20, 0x7E), (0xA1, 0x24F), (0x3001, 0x3029), (0x3041, 0x3096), (0x30A0, 0x30FF), (0x4E00, 0x9FFF),
           (0xAC00, 0xD7A3), (0xFF01, 0xFF60))  # fmt: skip
WORDS = st.text(st.one_of(*(st.characters(min_codepoint=first, max_codepoint=last) for first, last in SCRIPTS)))


@given(WORDS)
def test_widths_agree_with_those_of_rich(text: str) -> None:
    """Where they differ, the tables of this product and its progress display would not line up."""
    assert width(text) == cell_len(text)


def test_rows_are_ordered_by_a_field_and_those_without_it_come_last() -> None:
    rows = [{"at": "2026-01-02"}, {"note": "none"}, {"at": "2026-01-10"}, {"at": "2026-01-01"}]
    assert [row.get("at") for row in ordered(rows, "at")] == ["2026-01-01", "2026-01-02", "2026-01-10", None]
    assert [row.get("at") for row in ordered(rows, "-at")] == ["2026-01-10", "2026-01-02", "2026-01-01", None]
    assert [row["n"] for row in ordered([{"n": 10}, {"n": 9}], "n")] == [9, 10]


def test_pad_never_cuts() -> None:
    assert pad("日本", 3) == "日本"
    assert pad("日本", 6) == "日本  "
    assert pad("12", 4, right=True) == "  12"


def test_columns_are_keys_or_mappings() -> None:
    node = Node(["host", {"key": "since", "title": "Since", "kind": "time"}, {"key": "is_live"}], "columns")
    assert parse_columns(node) == (
        Column("host", "Host"),
        Column("since", "Since", "time"),
        Column("is_live", "Is live"),
    )


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ([], "at least one column"),
        ([{"title": "X"}], "'key' is missing"),
        ([{"key": "x", "kind": "tme"}], "did you mean 'time'?"),
        ([{"key": "x", "align": "left"}], "'align' is not accepted here"),
    ],
)
def test_columns_that_are_wrong_are_refused(columns: list[Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said.replace("?", r"\?")):
        parse_columns(Node(columns, "columns"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@sum(a1)", "\t=1", "\r=1", '=HYPERLINK("http://x")'])
def test_what_people_said_is_no_formula_in_a_spreadsheet(text: str) -> None:
    columns = [Column("why", "Why")]
    lines = compose(columns, [{"why": text}], form="csv")
    [read] = csv.DictReader(io.StringIO("\n".join(lines), newline=""))
    assert read["why"] == f"'{text}"
    assert json.loads("\n".join(compose(columns, [{"why": text}], form="json"))) == [{"why": text}]


def test_a_negative_number_stays_a_number_and_a_list_is_one_text_in_csv() -> None:
    columns = [Column("a", "A"), Column("b", "B"), Column("c", "C")]
    row = {"a": -4, "b": ["naoko", "kenji"], "c": []}
    assert compose(columns, [row], form="csv") == ["a,b,c", '-4,"naoko, kenji",']
    assert compose(columns, [row], form="table")[-1].split() == ["-4", "naoko,", "kenji", "–"]


def test_a_cell_has_nothing_that_a_terminal_would_obey() -> None:
    columns = [Column("why", "Why"), Column("at", "At", "time")]
    row = {"why": "urgent\x1b[2J\x9b\u2066", "at": "0001-01-01T00:00:00+14:00"}
    line = compose(columns, [row], form="table")[-1]
    assert "urgent\ufffd[2J\ufffd\ufffd" in line
    assert "0001-01-01T00:00:00+14:00" in line
