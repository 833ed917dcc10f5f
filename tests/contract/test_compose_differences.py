"""The page of differences from Compose is the one that its data makes, and names them for people."""

from __future__ import annotations

from tests.differential.declared import KINDS, PAGE, declared, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run .venv/bin/python bin/render.py"


def test_every_difference_is_argued_once() -> None:
    names = [entry.name for entry in declared()]
    assert len(names) == len(set(names))
    assert all(entry.kind in KINDS and len(entry.why) > 30 and entry.inspect for entry in declared())
