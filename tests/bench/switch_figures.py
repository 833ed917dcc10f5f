"""What a load met while releases were switched: windows, percentiles, aims, lines and a picture. Pure.

Times are seconds of the load unless a name says otherwise.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

from tests.bench.load_figures import SLOW_KINDS, Sample, percentile

_KEPT_FAILURES = 200
# Around the flip: what a visitor may notice of the switch itself.
_FLIP_S = 1.0


@dataclass(frozen=True)
class Switch:
    """One change of release. ``began`` to ``ended`` is the transaction on the host by its own journal, ``flipped`` when
    the edge was told; ``typed`` is when the command began. ``release`` is where it led."""

    action: str
    release: str
    typed: float
    began: float
    flipped: float
    ended: float


def switches_of(journal: Iterable[Mapping[str, Any]], typed: Sequence[tuple[float, str, str]]) -> list[Switch]:
    """The switches a journal tells of, whose entries have ``at`` in seconds of the load.

    ``typed`` are the commands that were run: when, action, release. A transaction is of the last command before it.
    """
    found: dict[str, list[Mapping[str, Any]]] = {}
    for entry in journal:
        if "transaction" in entry:
            found.setdefault(str(entry["transaction"]), []).append(entry)
    switches = []
    for entries in found.values():
        began = float(entries[0]["at"])
        flip = next((float(one["at"]) for one in entries if "switch" in one["step"] and one["event"] == "begin"), None)
        command = max((one for one in typed if one[0] <= began), default=None)
        if flip is not None and command is not None:
            ended = max(float(one["at"]) for one in entries)
            switches.append(Switch(command[1], command[2], command[0], began, flip, ended))
    return sorted(switches, key=lambda one: one.began)


def spans_of(journal: Iterable[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """When each step of the transactions in a journal was taken, by its name: from its beginning to its end."""
    begun: dict[tuple[str, str], float] = {}
    spans: dict[str, list[tuple[float, float]]] = {}
    for entry in journal:
        key = (str(entry.get("transaction")), str(entry["step"]))
        if entry["event"] == "begin":
            begun[key] = float(entry["at"])
        elif key in begun:
            spans.setdefault(key[1], []).append((begun.pop(key), float(entry["at"])))
    return spans


def by_step(samples: Sequence[Sample], spans: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, dict[str, Any]]:
    """What visitors met during each step: how many requests were due then, and within what 99 % were answered.

    With the step's mean seconds. A step of few requests says little.
    """
    found = {}
    for step, times in spans.items():
        during, _ = within(samples, sorted(times))
        seconds = sum(end - begin for begin, end in times) / len(times)
        found[step] = {"seconds": round(seconds, 3), "requests": len(during), "p99_ms": p99(during)}
    return found


def within(samples: Iterable[Sample], windows: Sequence[tuple[float, float]]) -> tuple[list[Sample], list[Sample]]:
    """The samples that were due within one of the windows, and the others. Windows are in order and do not overlap."""
    inside: list[Sample] = []
    outside: list[Sample] = []
    place = 0
    for sample in sorted(samples, key=lambda one: one.at):
        while place < len(windows) and windows[place][1] < sample.at:
            place += 1
        hit = place < len(windows) and windows[place][0] <= sample.at
        (inside if hit else outside).append(sample)
    return inside, outside


def p99(samples: Iterable[Sample], *, of_server: bool = False) -> float | None:
    """Milliseconds within which 99 % were answered, of those that are not slow by their own wish.

    From when a request was due, so that one that had to wait for its turn is not spared; ``of_server``: from when it
    left.
    """
    good = (one for one in samples if not one.problem and one.kind not in SLOW_KINDS)
    return percentile(sorted((one.took - (one.late if of_server else 0)) * 1000 for one in good), 0.99)


def failures(samples: Iterable[Sample]) -> list[dict[str, Any]]:
    """Each failed request with its time, kind, reason and who answered; the first of them, when there are many."""
    bad = sorted((one for one in samples if one.problem), key=lambda one: one.at)
    return [
        {"at_s": round(one.at, 3), "kind": one.kind, "problem": one.problem, "release": one.release}
        for one in bad[:_KEPT_FAILURES]
    ]


def own_figures(
    samples: Sequence[Sample], switches: Sequence[Switch], journal: Iterable[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The figures of our own switches under load; with their journal, step by step as well."""
    during, between = within(samples, [(one.began, one.ended) for one in switches])
    flips, _ = within(samples, [(one.flipped - _FLIP_S, one.flipped + _FLIP_S) for one in switches])
    typed, _ = within(samples, [(one.typed, one.ended) for one in switches])
    late = sorted(one.late * 1000 for one in samples)
    return {
        "requests": len(samples),
        "failed": sum(bool(one.problem) for one in samples),
        "switches": len(switches),
        "p99_steady_ms": p99(between),
        "p99_switch_ms": p99(during),
        "p99_flip_ms": p99(flips),
        "p99_command_ms": p99(typed),
        "p99_steady_server_ms": p99(between, of_server=True),
        "p99_switch_server_ms": p99(during, of_server=True),
        "requests_during_switches": len(during),
        "client_late_p99_ms": percentile(late, 0.99),
        "client_late_max_ms": percentile(late, 1.0),
        "failures": failures(samples),
        "switched": [asdict(one) for one in switches],
        "steps": by_step(samples, spans_of(journal)),
    }


def aims(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the figures are held against."""
    steady, switch = figures["p99_steady_ms"] or 0.0, figures["p99_switch_ms"] or 0.0
    return [
        {"aim": "failed = 0", "figure": figures["failed"], "holds": figures["failed"] == 0},
        {
            "aim": "p99_switch_ms <= 2 x p99_steady_ms",
            "figure": round(switch / steady, 2) if steady else None,
            "holds": bool(steady) and switch <= 2 * steady,
        },
        {"aim": "requests >= 200000", "figure": figures["requests"], "holds": figures["requests"] >= 200_000},
        {"aim": "switches >= 20", "figure": figures["switches"], "holds": figures["switches"] >= 20},
    ]


def table(figures: Mapping[str, Any]) -> list[str]:
    """The figures for people."""
    peers = (("recreate", "compose recreates"), ("labels", "labels, start first"))
    rows = [
        f"edge at most         {figures['edge_max_rate']:9.0f} requests/s; {figures['rate']:.0f} a second were sent"
    ]
    rows += [f"{'ours':<20} {_lost(figures, '')}"]
    rows += [
        f"{meaning:<20} {_lost(figures, f'peer_{way}_')}" for way, meaning in peers if f"peer_{way}_requests" in figures
    ]
    rows += [
        f"99 % answered within {figures[name]} ms {when}"
        for name, when in (
            ("p99_steady_ms", "between switches"),
            ("p99_switch_ms", "during the transactions on the host"),
            ("p99_flip_ms", "within a second of the flip"),
            ("p99_command_ms", "while the command ran, from its start to the end on the host"),
        )
    ]
    late, worst = figures["client_late_p99_ms"], figures["client_late_max_ms"]
    rows += [f"the generator was late by {late} ms (99 %), {worst} ms at worst; {figures.get('skipped', 0)} sent home"]
    held = [f"{'holds ' if aim['holds'] else 'MISSED'}  {aim['aim']} ({aim['figure']})" for aim in figures["aims"]]
    return [*rows, "", *held]


def _lost(figures: Mapping[str, Any], prefix: str) -> str:
    failed, requests = figures[f"{prefix}failed"], figures[f"{prefix}requests"]
    return f"{failed:9,} of {requests:,} requests failed in {figures[f'{prefix}switches']} switches"


# -- the picture -------------------------------------------------------------------------------------------------------

_WIDTH, _PANEL, _LEFT, _TOP = 1100, 150, 70, 34
_LOW_MS, _DECADES = 1.0, 4
_LEGEND = (
    "each second's median in grey, its 99th percentile in black, what failed in red; dashed: the release is switched"
)


@dataclass(frozen=True)
class Panel:
    """One load of the picture: its title, its samples, and when releases were switched."""

    title: str
    samples: Sequence[Sample]
    switched: Sequence[float]


def picture(panels: Sequence[Panel]) -> str:
    """Latency over time, a panel for each load: grey the median and black the 99th percentile of each second, red what
    failed, dashed where the release was switched. An SVG that needs nothing to be drawn."""
    height = len(panels) * (_PANEL + _TOP) + 30
    drawn = "".join(_panel(panel, number * (_PANEL + _TOP) + _TOP) for number, panel in enumerate(panels))
    drawn += f'<text x="{_LEFT}" y="{height - 10}" fill="#52606d">{_LEGEND}</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>{drawn}</svg>\n'
    )


def _panel(panel: Panel, top: float) -> str:
    seconds = max((sample.at for sample in panel.samples), default=1.0) or 1.0
    failed = sum(bool(sample.problem) for sample in panel.samples)
    told = f"{escape(panel.title)}: {failed:,} of {len(panel.samples):,} requests failed"
    marks = (
        f'<path d="M{_x(at, seconds):.1f} {top}V{top + _PANEL}" stroke="#2a7f62" stroke-dasharray="4 3"/>'
        for at in panel.switched
    )
    return "".join(
        (
            f'<text x="{_LEFT}" y="{top - 8}" font-weight="bold">{told}</text>',
            f'<text x="{_WIDTH - 20}" y="{top + _PANEL + 14}" text-anchor="end">{seconds:.0f} s</text>',
            *(_level(10.0**decade, top) for decade in range(_DECADES + 1)),
            *marks,
            *_latencies(panel.samples, seconds, top),
            *_lost_ones(panel.samples, seconds, top),
        )
    )


def _x(at: float, seconds: float) -> float:
    return _LEFT + at / seconds * (_WIDTH - _LEFT - 20)


def _y(milliseconds: float, top: float) -> float:
    share = math.log10(max(milliseconds, _LOW_MS) / _LOW_MS) / _DECADES
    return top + _PANEL - min(1.0, share) * _PANEL


def _level(milliseconds: float, top: float) -> str:
    at = _y(milliseconds, top)
    return (
        f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - 20}" stroke="#e4e7eb"/>'
        f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{milliseconds:,.0f} ms</text>'
    )


def _latencies(samples: Iterable[Sample], seconds: float, top: float) -> Iterator[str]:
    step = max(1.0, seconds / 500)
    rows: dict[int, list[float]] = {}
    for sample in samples:
        if not sample.problem and sample.kind not in SLOW_KINDS:
            rows.setdefault(int(sample.at / step), []).append(sample.took * 1000)
    ordered = [(place * step, sorted(values)) for place, values in sorted(rows.items())]
    for share, colour in ((0.5, "#9aa5b1"), (0.99, "#1f2933")):
        points = " ".join(
            f"{_x(at, seconds):.1f},{_y(percentile(values, share) or _LOW_MS, top):.1f}" for at, values in ordered
        )
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.2"/>'


def _lost_ones(samples: Iterable[Sample], seconds: float, top: float) -> Iterator[str]:
    step = max(1.0, seconds / 500)
    bad = Counter(int(sample.at / step) for sample in samples if sample.problem)
    most = max(bad.values(), default=1)
    width = max(1.5, step / seconds * (_WIDTH - _LEFT - 20))
    for place, count in sorted(bad.items()):
        height = max(4.0, count / most * _PANEL)
        yield (
            f'<rect x="{_x(place * step, seconds):.1f}" y="{top + _PANEL - height:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" fill="#d64545" fill-opacity="0.45"/>'
        )
