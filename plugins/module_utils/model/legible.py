"""What people and programs said, as a terminal may show it."""

from __future__ import annotations

import re

# Control characters but tab and line feed, line and paragraph separators, what turns the direction of writing, and
# halves of surrogate pairs: each can make a terminal hide what stands beside it (https://trojansource.codes).
_ILLEGIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def legible(text: str) -> str:
    """The text, with a replacement character for each sign that a terminal would obey and not show."""
    return _ILLEGIBLE.sub("\N{REPLACEMENT CHARACTER}", text)


def on_one_line(text: str) -> str:
    """The text as one legible line."""
    return legible(" ".join(text.split()))
