"""What a comparison of convergences came to: medians, aims, a table and a picture. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median

Samples = Mapping[str, Sequence[float]]

# What is measured, in the order in which it is told.
MEANINGS = {
    "ping_s": "ansible -m ping, the floor of any command",
    "noop_s": "ours, nothing to change, the whole command",
    "compose_noop_s": "docker compose up -d in parallel on the host, nothing to change",
    "stock_noop_s": "file, copy and docker_compose_v2 in loops, nothing to change, settings as ours",
    "stock_plain_noop_s": "the same with the settings Ansible comes with",
    "first_s": "ours, images there, nothing running, the whole command",
    "compose_first_s": "docker compose up -d in parallel on the host, nothing running",
    "module_rss_mb": "memory of our module's process on the host at its peak, MB",
}
_UNITS = {"module_rss_mb": "MB"}


@dataclass(frozen=True)
class Aim:
    """A figure held against the most, or the least, that it may be."""

    name: str
    figure: float
    limit: float
    least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the figure is within its limit."""
        return self.figure >= self.limit if self.least else self.figure <= self.limit

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        limit = round(self.limit, 3)
        return {"aim": self.name, "figure": round(self.figure, 3), "limit": limit, "holds": self.holds}


def medians(samples: Samples) -> dict[str, float]:
    """The median of every measurement."""
    return {name: round(median(values), 3) for name, values in samples.items()}


def peaks(samples: Samples) -> dict[str, float]:
    """The greatest of every measurement: what a peak is held against."""
    return {name: round(max(values), 1) for name, values in samples.items()}


def aims(figures: Mapping[str, float]) -> list[Aim]:
    """The aims of the engine that converges hosts."""
    ping, noop = figures["ping_s"], figures["noop_s"]
    return [
        Aim("noop_s <= 1.5 x ping_s", noop, 1.5 * ping),
        Aim("stock_noop_s / noop_s >= 10", figures["stock_noop_s"] / noop, 10, least=True),
        Aim("first_s <= 1.3 x compose_first_s + ping_s", figures["first_s"], 1.3 * figures["compose_first_s"] + ping),
        Aim("module_rss_mb <= 120", figures["module_rss_mb"], 120),
    ]


def table(figures: Mapping[str, float], samples: Samples, profile: Mapping[str, float]) -> list[str]:
    """A line for each figure, each aim and each phase (ms), for people."""
    rows = [
        f"{name:<19} {figures[name]:8.3f} {_UNITS.get(name, 's'):<2}  {_spread(samples[name]):<17} {meaning}"
        for name, meaning in MEANINGS.items()
    ]
    held = [
        f"{'holds ' if aim.holds else 'MISSED'}  {aim.name}: {aim.figure:.3f} against {aim.limit:.3f}"
        for aim in aims(figures)
    ]
    spent = [f"{milliseconds:6.0f} ms  {phase}" for phase, milliseconds in profile.items()]
    return [*rows, "", *held, "", "where the time of noop_s goes", *spent]


def _spread(values: Sequence[float]) -> str:
    return f"{min(values):.3f} - {max(values):.3f}"


# What a run with ANSIBLE_DEBUG says when a phase is over, the first time, in this order.
_MARKS = {
    "Python and Ansible start": "starting run",
    "inventory, playbook, callbacks": "getting the remaining hosts",
    "our actions and their model are loaded": "action.runbook'",
    "the request is checked": "action.stacks'",
    "stack files, secrets, digests": "ANSIBALLZ:",
    "the payload is sent": "Sent initial data",
    "the module on the host": "stdout chunk",
}
_LAST = "the module and Ansible end"
_LINE = re.compile(r"^\s*\d+ (?P<at>\d+\.\d+): (?P<said>.*)$", re.MULTILINE)


def phases(text: str, began: float, ended: float) -> dict[str, float]:
    """Milliseconds of each phase of a run that said this, by the clock of ``began`` and ``ended``; they add up.

    A mark that this version of Ansible does not know makes its phase part of the next.
    """
    said = [(float(line["at"]), line["said"]) for line in _LINE.finditer(text)]
    found: dict[str, float] = {}
    since = began
    for name, words in _MARKS.items():
        at = next((at for at, line in said if at >= since and words in line), None)
        if at is not None:
            found[name], since = round((at - since) * 1000), at
    return found | {_LAST: round((ended - since) * 1000)}


_BAR, _LEFT, _WIDTH = 26, 170, 520


def picture(figures: Mapping[str, float]) -> str:
    """The seconds as horizontal bars: an SVG that needs nothing to be drawn."""
    seconds = {name: figures[name] for name in MEANINGS if name.endswith("_s")}
    longest = max(seconds.values())
    rows = "".join(
        _bar(number, name, value, value / longest * _WIDTH) for number, (name, value) in enumerate(seconds.items())
    )
    width, height = _LEFT + _WIDTH + 90, _BAR * len(seconds) + 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="white"/>{rows}</svg>\n'
    )


def _bar(number: int, name: str, value: float, length: float) -> str:
    top = number * _BAR + 8
    colour = "#2a7f62" if name in ("noop_s", "first_s") else "#9aa5b1"
    return (
        f'<text x="{_LEFT - 8}" y="{top + 14}" text-anchor="end">{escape(name)}</text>'
        f'<rect x="{_LEFT}" y="{top}" width="{max(length, 1):.1f}" height="{_BAR - 8}" fill="{colour}"/>'
        f'<text x="{_LEFT + length + 6:.1f}" y="{top + 14}">{value:.2f} s</text>'
    )
