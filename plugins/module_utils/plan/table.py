"""Lay rows out for a person (a table), a spreadsheet (CSV) or a program (JSON)."""

from __future__ import annotations

import csv
import datetime
import io
import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..model.document import Node
from ..model.legible import on_one_line

Row = Mapping[str, Any]

FORMATS = ("table", "json", "csv")
GAP = "  "
# Figures are compared by their last digit.
_RIGHT = ("number", "seconds", "bytes")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Column:
    """One column: the key it takes from each row, its title, and what kind of value it shows (one of :data:`KINDS`)."""

    key: str
    title: str
    kind: str = "text"


def parse_columns(node: Node) -> tuple[Column, ...]:
    """Columns as a list of keys, or of mappings {key, title, kind}.

    :raises InvalidInput: when a column has no key or an unknown kind.
    """
    columns = [_column(item) for item in node.items()]
    if not columns and not node.errors:
        node.reject("at least one column is needed")
    node.finish()
    return tuple(columns)


def _column(node: Node) -> Column:
    if isinstance(node.value, str):
        return Column(node.value, _title(node.value))
    parts = node.mapping(("key", "title", "kind"))
    if "key" not in parts:
        node.reject("'key' is missing", "name the field of the rows that this column shows")
        return Column("", "")
    key = parts["key"].text()
    title = parts["title"].text() if "title" in parts else _title(key)
    return Column(key, title, parts["kind"].choice(KINDS, "text") if "kind" in parts else "text")


def _title(key: str) -> str:
    return key.replace("_", " ").capitalize()


def compose(
    columns: Sequence[Column], rows: Sequence[Row], *, form: str, title: str = "", hours: float = 9
) -> list[str]:
    """The lines of a table in the wanted ``form`` (one of :data:`FORMATS`).

    ``hours`` is the offset of the reader's clock from UTC, for columns of kind ``time`` (9 is Tokyo). JSON and CSV keep
    values as they are: whoever parses them wants the whole digest and the exact moment. JSON keeps every field of a
    row; columns are chosen for eyes. Only a text that a spreadsheet would run as a formula has an apostrophe before it
    in CSV.
    """
    if form == "json":
        return json.dumps([dict(row) for row in rows], ensure_ascii=False, indent=2).split("\n")
    if form == "csv":
        return _csv(columns, rows)
    return [*([title] if title else []), *_table(columns, rows, datetime.timezone(datetime.timedelta(hours=hours)))]


def ordered(rows: Sequence[Row], by: str) -> list[Row]:
    """Rows by the field ``by``, the greatest first with a minus before its name; rows that lack it come last."""
    field = by.removeprefix("-")
    having = [row for row in rows if row.get(field) is not None]
    lacking = [row for row in rows if row.get(field) is None]
    comparable: Callable[[Any], Any] = float if all(isinstance(row[field], (int, float)) for row in having) else str
    having.sort(key=lambda row: comparable(row[field]), reverse=by.startswith("-"))
    return [*having, *lacking]


def _csv(columns: Sequence[Column], rows: Iterable[Row]) -> list[str]:
    text = io.StringIO()
    writer = csv.DictWriter(text, [column.key for column in columns], lineterminator="\n")
    writer.writeheader()
    writer.writerows({column.key: _harmless(row.get(column.key)) for column in columns} for row in rows)
    return text.getvalue().rstrip("\n").split("\n")


def _harmless(value: Any) -> Any:
    """What people said, as a spreadsheet may open it (https://owasp.org/www-community/attacks/CSV_Injection)."""
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value))
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _table(columns: Sequence[Column], rows: Sequence[Row], zone: datetime.timezone) -> list[str]:
    if not rows:
        return [f"{GAP}(nothing)"]
    cells = [[_cell(row.get(column.key), column, zone) for column in columns] for row in rows]
    titles = [column.title for column in columns]
    widths = [max(map(width, texts)) for texts in zip(titles, *cells, strict=True)]
    rule = ["─" * one for one in widths]
    return [_line(columns, texts, widths) for texts in (titles, rule, *cells)]


def _line(columns: Iterable[Column], texts: Iterable[str], widths: Iterable[int]) -> str:
    padded = [
        pad(text, one, right=column.kind in _RIGHT) for column, text, one in zip(columns, texts, widths, strict=True)
    ]
    return (GAP + GAP.join(padded)).rstrip()


def _cell(value: Any, column: Column, zone: datetime.timezone) -> str:
    if value is None or value in ("", [], ()):
        return "–"
    # A line break in a value would tear the table apart.
    return on_one_line(_KINDS[column.kind](value, zone))


# -- kinds of values -----------------------------------------------------------------------------------------------


def _text(value: Any, _: datetime.timezone) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return str(value)


def _time(value: Any, zone: datetime.timezone) -> str:
    """To the minute, on the reader's clock; a text that is no time is shown as it is."""
    try:
        moment = datetime.datetime.fromisoformat(str(value))
        return f"{moment.astimezone(zone) if moment.tzinfo else moment:%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError):
        return str(value)


def _digest(value: Any, _: datetime.timezone) -> str:
    """Twelve hex digits are enough for an eye to compare."""
    return str(value).removeprefix("sha256:")[:12]


def _number(value: Any, _: datetime.timezone) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _seconds(value: Any, _: datetime.timezone) -> str:
    return f"{value:.1f} s" if isinstance(value, (int, float)) else str(value)


def _bytes(value: Any, _: datetime.timezone) -> str:
    if not isinstance(value, (int, float)):
        return str(value)
    amount, unit = float(value), 0
    while amount >= 1000 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1000, unit + 1
    return f"{amount:.0f} {_UNITS[unit]}" if unit == 0 else f"{amount:.1f} {_UNITS[unit]}"


_KINDS: dict[str, Callable[[Any, datetime.timezone], str]] = {
    "text": _text,
    "time": _time,
    "digest": _digest,
    "number": _number,
    "seconds": _seconds,
    "bytes": _bytes,
}
KINDS = tuple(_KINDS)


# -- widths --------------------------------------------------------------------------------------------------------


def width(text: str) -> int:
    """Columns that ``text`` takes on a terminal: two for a Chinese or Japanese character, none for a combining mark."""
    return sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if character == "\u00ad":  # the soft hyphen is a format mark that terminals show
        return 1
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me", "Cf", "Cc"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def pad(text: str, to: int, *, right: bool = False) -> str:
    """``text`` with blanks on one side until it is ``to`` columns wide."""
    blanks = " " * max(0, to - width(text))
    return blanks + text if right else text + blanks
