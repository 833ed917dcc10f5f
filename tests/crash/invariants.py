"""What must hold after anything: judged from what the host tells of itself and what a visitor sees. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def wrong(told: Mapping[str, Any], seen: str) -> list[str]:
    """What does not hold, a sentence each; ``seen`` is the release that a visitor meets, ``told`` is ``look.py``'s."""
    if "error" in told:
        return [f"the host cannot be looked at: {told['error']}"]
    state = told["state"]
    live, standby = state.get("live", 0), state.get("standby", 0)
    return [
        *_one_live_release(told, live, standby),
        *_edge_leads_to_it(told, live, seen),
        *_a_way_back(told, standby),
        *_nothing_left(told),
    ]


def _one_live_release(told: Mapping[str, Any], live: int, standby: int) -> list[str]:
    found = told["containers"]
    faults = []
    serving = [one for one in found if one["number"] == live]
    if not live or str(live) not in told["records"]:
        faults.append("no release is recorded as live")
    if not serving:
        faults.append("the live release has no container")
    if any(not one["running"] or one["health"] not in ("healthy", "") for one in serving):
        faults.append("the live release is not healthy")
    if left := sorted({one["number"] for one in found} - {live, standby}):
        faults.append(f"containers of {len(left)} other release{'s' * (len(left) > 1)} are left")
    if live in told["state"].get("bad", ()):
        faults.append("the live release is marked bad")
    return faults


def _edge_leads_to_it(told: Mapping[str, Any], live: int, seen: str) -> list[str]:
    names = {one["name"] for one in told["containers"] if one["number"] == live}
    release = told["records"].get(str(live), {}).get("release", "")
    faults = []
    if not told["placed"] or {_host(url) for url in told["placed"]} - names:
        faults.append("the edge's file does not lead to the live release")
    if not told["served"] or {_host(url) for url in told["served"]} - names:
        faults.append("the edge does not lead to the live release by its own account")
    if seen != release:
        faults.append("a visitor does not meet the live release")
    return faults


def _a_way_back(told: Mapping[str, Any], standby: int) -> list[str]:
    if not standby:
        return ["there is no release to return to"]
    faults = []
    if str(standby) not in told["records"]:
        faults.append("the release to return to has no record")
    waiting = [one for one in told["containers"] if one["number"] == standby]
    if not waiting:
        faults.append("the release to return to has no container")
    if standby in told["state"].get("bad", ()):
        faults.append("the release to return to is marked bad")
    return faults


def _nothing_left(told: Mapping[str, Any]) -> list[str]:
    faults = []
    if told["locked"]:
        faults.append("the stack is locked")
    if told["begun"]:
        faults.append("a transaction is left begun")
    if told["units"]:
        faults.append("a unit of a release runs")
    return faults


def _host(url: str) -> str:
    return url.partition("://")[2].rpartition(":")[0]
