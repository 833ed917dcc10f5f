"""Decide whether a release may go live at an instant, and when it next may: pure.

All policies of a stack hold together: what one refuses is refused, and recommended is what all that recommend agree on.
"""

from __future__ import annotations

import calendar
import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from ..model.release_window import DAY_MINUTES, LAST, Rule, WindowPolicy

RECOMMENDED, ALLOWED, REFUSED = "recommended", "allowed", "refused"
HORIZON_DAYS = 800  # a slot that does not come within two years never comes
_MINUTE = timedelta(minutes=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Verdict:
    """What the policies say of an instant. ``why`` is a refused rule's own reason, ``policy`` whose rule it is."""

    word: str
    why: str = ""
    policy: str = ""


@dataclass(frozen=True)
class Slot:
    """From ``start`` until just before ``end``; None: as far as can be seen."""

    start: datetime
    end: datetime | None


def policies_of(policies: Iterable[WindowPolicy], stack: str) -> tuple[WindowPolicy, ...]:
    """Those that speak of a stack."""
    return tuple(policy for policy in policies if not policy.stacks or stack in policy.stacks)


def judge_window(policies: Iterable[WindowPolicy], stack: str, at: datetime) -> Verdict:
    """What the policies say of a release of a stack at an instant, which knows its zone."""
    return _verdict(policies_of(policies, stack), at)


def next_slot(policies: Iterable[WindowPolicy], stack: str, at: datetime, word: str = ALLOWED) -> Slot | None:
    """The next time, from ``at`` on, at which a release of a stack is allowed (or ``RECOMMENDED``).

    None when there is none within :data:`HORIZON_DAYS`.
    """
    ours = policies_of(policies, stack)
    wanted = {RECOMMENDED} if word == RECOMMENDED else {RECOMMENDED, ALLOWED}
    start: datetime | None = None
    for moment in _moments(ours, at):
        if start is None and _verdict(ours, moment).word in wanted:
            start = moment
        elif start is not None and _verdict(ours, moment).word not in wanted:
            return Slot(start, moment)
    return Slot(start, None) if start else None


def told_slot(slot: Slot | None, policies: Sequence[WindowPolicy], stack: str) -> str:
    """A slot on the clock of the stack's first policy: ``Tue 2026-12-08 15:00-17:00 JST``."""
    if slot is None:
        return "none within two years: the policies leave no time at all"
    ours = policies_of(policies, stack)
    zone = ZoneInfo(ours[0].time_zone) if ours else UTC
    start = slot.start.astimezone(zone)
    if slot.end is None:
        return f"from {start:%a %Y-%m-%d %H:%M %Z}"
    end = slot.end.astimezone(zone)
    # What ends with the day ends at 24:00 of that day, as people say it.
    last = end - _MINUTE
    clock = "24:00" if (end.hour, end.minute) == (0, 0) else f"{end:%H:%M}"
    until = clock if last.date() == start.date() else f"{last if clock == '24:00' else end:%a %Y-%m-%d} {clock}"
    return f"{start:%a %Y-%m-%d %H:%M}-{until} {start:%Z}"


def _verdict(policies: Sequence[WindowPolicy], at: datetime) -> Verdict:
    agreed: list[bool] = []
    for policy in policies:
        local = at.astimezone(ZoneInfo(policy.time_zone))
        for rule in policy.refused:
            if _fits(rule, local):
                return Verdict(REFUSED, rule.why, policy.name)
        if policy.recommended:
            agreed.append(any(_fits(rule, local) for rule in policy.recommended))
    return Verdict(RECOMMENDED if agreed and all(agreed) else ALLOWED)


def _fits(rule: Rule, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    last = calendar.monthrange(local.year, local.month)[1]
    month_days = {last if day == LAST else day for day in rule.month_days}
    return (
        rule.start <= minute < rule.end
        and (not rule.days or local.weekday() in rule.days)
        and (not month_days or local.day in month_days)
    )


def _moments(policies: Sequence[WindowPolicy], at: datetime) -> Iterator[datetime]:
    """``at``, and every later instant at which a verdict may change, in order."""
    yield at
    for moment in heapq.merge(*(_changes(policy, at) for policy in policies)):
        if moment > at:
            yield moment


def _changes(policy: WindowPolicy, at: datetime) -> Iterator[datetime]:
    zone = ZoneInfo(policy.time_zone)
    rules = (*policy.recommended, *policy.refused)
    minutes = {minute % DAY_MINUTES for rule in rules for minute in (rule.start, rule.end)} | {0}
    today = at.astimezone(zone).date()
    for offset in range(HORIZON_DAYS):
        yield from _of_day(today + timedelta(days=offset), zone, minutes)


def _of_day(day: date, zone: ZoneInfo, minutes: Iterable[int]) -> list[datetime]:
    """The instants of one day. Where clocks are put on or back, every minute: some times come twice, some never."""
    start, end = _midnight(day, zone), _midnight(day + _DAY, zone)
    if end - start != _DAY:
        return [start + _MINUTE * number for number in range(int((end - start) / _MINUTE))]
    return sorted(start + _MINUTE * minute for minute in minutes)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)
