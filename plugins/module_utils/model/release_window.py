"""When releases may go live: policies of an environment, each on its own clock."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass

from .document import Node
from .vocabulary import Key, Keys

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LAST = -1
DAY_MINUTES = 24 * 60

_CLOCK = re.compile(r"(?P<hour>[01]\d|2[0-4]):(?P<minute>[0-5]\d)")
_MONTH_DAYS = {"first": 1, "last": LAST}
_LONGEST_MONTH = 31


@dataclass(frozen=True)
class Rule:
    """A part of days: ``start`` to ``end`` in minutes after midnight, on days that fit everything that is said.

    ``days`` are weekdays (Monday is 0), ``month_days`` days of a month (-1 is the last one); nothing said fits all.
    """

    days: tuple[int, ...] = ()
    month_days: tuple[int, ...] = ()
    start: int = 0
    end: int = DAY_MINUTES
    why: str = ""


@dataclass(frozen=True)
class WindowPolicy:
    """One policy. ``stacks`` empty means all; times are those of ``time_zone``."""

    name: str
    time_zone: str
    stacks: tuple[str, ...] = ()
    recommended: tuple[Rule, ...] = ()
    refused: tuple[Rule, ...] = ()


def _minutes(node: Node) -> int:
    match = _CLOCK.fullmatch(node.text())
    minutes = int(match["hour"]) * 60 + int(match["minute"]) if match else DAY_MINUTES + 1
    if minutes > DAY_MINUTES:
        node.reject(f"'{node.text()}' is not a time of day", 'write it like "15:00", in quotes; midnight is "24:00"')
        return 0
    return minutes


def _weekdays(node: Node) -> tuple[int, ...]:
    return tuple(DAYS.index(child.choice(DAYS, DAYS[0])) for child in node.items())


def _month_days(node: Node) -> tuple[int, ...]:
    return tuple(
        _MONTH_DAYS.get(str(child.value)) or child.integer(1, least=1, most=_LONGEST_MONTH) for child in node.items()
    )


def _zone(node: Node) -> str:
    name = node.text()
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        node.reject(f"'{name}' is not a time zone known here", "write it like Asia/Tokyo; the package is tzdata")
        return "UTC"
    return name


_PART_KEYS = (
    Key("days", "list of weekdays", "On these days: mon, tue, wed, thu, fri, sat, sun", _weekdays),
    Key("month_days", "list of days", "On these days of a month: a number, first or last", _month_days),
    Key("from", "text", "From this time of day", _minutes, default='"00:00"', field="start"),
    Key("to", "text", "Until this time of day, which is not part of it", _minutes, default='"24:00"', field="end"),
)
RECOMMENDED_KEYS = Keys(*_PART_KEYS, notes=False)
REFUSED_KEYS = Keys(
    *_PART_KEYS,
    Key("why", "text", "Why not then; shown to who asks", lambda node: node.text(), required=True),
    notes=False,
)


def _rules(node: Node, keys: Keys) -> tuple[Rule, ...]:
    found = []
    for child in node.items():
        rule = Rule(**keys.read(child))
        if rule.start >= rule.end:
            child.reject("it ends before it begins", "for one across midnight write two rules")
        if "why" in keys and not rule.why:
            child.reject("'why' is missing", "say why not then, for whoever is refused")
        if not rule.days and not rule.month_days and (rule.start, rule.end) == (0, DAY_MINUTES):
            child.reject("it says nothing, which is always", "name days, month_days, from or to")
        found.append(rule)
    return tuple(found)


WINDOW_KEYS = Keys(
    Key("name", "text", "The policy's name", lambda node: node.text(), required=True),
    Key("time_zone", "text", "Whose clock it means, as a name of the tz database", _zone, required=True),
    Key("stacks", "list of stacks", "Only these stacks", lambda node: node.texts(), default="all"),
    Key("recommended", "list", "When to release", lambda node: _rules(node, RECOMMENDED_KEYS), keys=RECOMMENDED_KEYS),
    Key("refused", "list", "When not to, save with a recorded reason", lambda node: _rules(node, REFUSED_KEYS),
        keys=REFUSED_KEYS),
    notes=False,
)  # fmt: skip


def parse_windows(node: Node) -> tuple[WindowPolicy, ...]:
    """The policies of an environment."""
    found = []
    for child in node.items():
        policy = WindowPolicy(**{"name": "", "time_zone": "", **WINDOW_KEYS.read(child)})
        for needed in ("name", "time_zone"):
            if not getattr(policy, needed):
                child.reject(
                    f"'{needed}' is missing", "see inventories/production/group_vars/production/environment.yml"
                )
        found.append(policy)
    return tuple(found)
