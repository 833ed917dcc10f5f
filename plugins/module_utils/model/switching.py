"""How the old release leaves and waits: the notice it gets, the paths it still answers for, its standby."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .document import Node
from .vocabulary import Key, Keys

RUNNING, PAUSED, STOPPED = "running", "paused", "stopped"
STANDBY = (RUNNING, PAUSED, STOPPED)
KEEP = 5

_SIGNAL = re.compile(r"SIG(HUP|INT|QUIT|USR1|USR2|WINCH|TERM|RTMIN(\+\d{1,2})?)")
# What ends a process cannot be a notice: the old release has to be there when it is returned to.
_ENDS = ("SIGINT", "SIGQUIT", "SIGTERM")
_ASSET_PATH = r"(/[A-Za-z0-9._~-]+)+"
_LONGEST_S = 7 * 24 * 3600


@dataclass(frozen=True)
class Notice:
    """What the old release is told after a switch: a signal to its first process, or a command in its container."""

    signal: str = ""
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asset:
    """Files below ``path`` that the old release still answers for ``seconds`` where the new one has none (404)."""

    path: str
    seconds: float


ASSET_KEYS = Keys(
    Key("path", "path", "At or below which they are", required=True),
    Key("for", "duration", "How long after a switch, at most 7 days", default="1h"),
)


def parse_notice(node: Node) -> Notice | None:
    """Read ``x-ops.drain_notice``: a signal, or the list of a command."""
    if not isinstance(node.value, str):
        command = node.texts()
        if not command:
            node.reject("the notice says nothing", "write a signal such as SIGUSR1, or a command as a list")
        return Notice(command=command)
    if node.value in _ENDS:
        why = f"{node.value} ends a process, and the old release has to stay"
        node.reject(why, "choose SIGUSR1, SIGUSR2 or a command")
    elif not _SIGNAL.fullmatch(node.value):
        node.reject(f"'{node.value}' is not a signal", "write one such as SIGUSR1, or a command as a list")
    return Notice(signal=node.value)


def parse_assets(node: Node) -> tuple[Asset, ...]:
    """Read ``x-ops.assets``, a list of mappings."""
    found: list[Asset] = []
    for one in node.items():
        keys = ASSET_KEYS.of(one)
        path = keys["path"].text(pattern=_ASSET_PATH, hint="a path such as /_next/static") if "path" in keys else ""
        if "path" not in keys:
            one.reject("assets need 'path'", "say below which path they are")
        elif path and any(_nested(path, other.path) for other in found):
            keys["path"].reject(f"'{path}' is named by another entry", "name each path once")
        seconds = keys["for"].seconds(3600) if "for" in keys else 3600.0
        if not 0 < seconds <= _LONGEST_S:
            keys["for"].reject(f"{seconds:g} seconds is not a time to keep old assets", "choose at most 7 days (168h)")
        found.append(Asset(path, seconds))
    return tuple(found)


def _nested(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def refuse_contradictions(node: Node, standby: str, standby_for: float, assets: tuple[Asset, ...]) -> None:
    """Old assets come from a standby that runs, so it has to run for as long as they are kept."""
    if not assets:
        return
    if standby != RUNNING:
        node.child("assets", None).reject(
            f"a standby that is {standby} answers for no assets", "say standby: running, or take the assets away"
        )
    longest = max(asset.seconds for asset in assets)
    if standby_for and standby_for < longest:
        node.child("assets", None).reject(
            f"they are kept for {longest:g} s, and the standby only runs for {standby_for:g} s",
            "raise standby_for, or keep the assets for less",
        )
