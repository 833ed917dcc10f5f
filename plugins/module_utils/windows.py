"""What ends by itself some time after a switch: old assets at the edge, and a standby that waits.

Looked at every minute, so that looking loads neither the engine's SDK nor anything else that is not needed for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .gateway.edge import EdgeFiles
from .gateway.host_state import HostState, write_file
from .model.container import canonical
from .model.release import Release
from .model.stack import parse_tree
from .model.switching import STOPPED, Asset
from .plan.edge_assets import due, has_old_assets, still_kept
from .plan.release import live_since

if TYPE_CHECKING:
    from .hands import Host


@dataclass(frozen=True)
class Windows:
    """A stack some ``seconds`` after its live release took over from the standby, at the moment ``since``."""

    live: Release
    standby: Release
    since: str
    seconds: float
    placed: Mapping[str, Any]

    @property
    def assets(self) -> tuple[Asset, ...]:
        """The assets for which the edge still asks the standby."""
        return still_kept(self.placed, self._assets()) if has_old_assets(self.placed) else ()

    @property
    def kept(self) -> tuple[Asset, ...]:
        """Those of them that are still to be answered for."""
        return () if self.standby_ends else due(self.assets, self.seconds)

    @property
    def standby_ends(self) -> bool:
        """Whether the standby has waited for long enough."""
        limit = parse_tree(self.standby.tree, f"release {self.standby.number}").ops.standby_for
        return bool(limit) and self.seconds >= limit

    @property
    def mark(self) -> str:
        """What is noted when this standby was stopped."""
        return f"release {self.standby.number} since {self.since}\n"

    def _assets(self) -> tuple[Asset, ...]:
        return parse_tree(self.live.tree, f"release {self.live.number}").ops.assets


def windows_of(state: HostState, files: EdgeFiles, name: str, now: datetime | None = None) -> Windows | None:
    """A stack's windows; None where nothing waits."""
    found = state.state(name)
    since = live_since(state.history(name), found.live) if found.live and found.standby else ""
    if not since:
        return None
    live, standby = state.record(name, found.live), state.record(name, found.standby)
    seconds = ((now or datetime.now(UTC)) - datetime.fromisoformat(since)).total_seconds()
    return Windows(live, standby, since, seconds, files.all().get(name, {}))


def has_ended(state: HostState, files: EdgeFiles, name: str, now: datetime | None = None) -> bool:
    """Whether :func:`end_windows` has anything to do."""
    found = windows_of(state, files, name, now)
    return found is not None and (found.kept != found.assets or (found.standby_ends and not _is_noted(state, found)))


def end_windows(host: Host, name: str, now: datetime | None = None) -> list[str]:
    """End what has had its time in a stack, and say so. Under the stack's lock; nothing to do is nothing done.

    The edge lets go of the old release before that stops. Raises OpsError when the edge or the engine refuses: then the
    next call does it.
    """
    found = windows_of(host.state, host.files, name, now)
    if found is None:
        return []
    told = [*_end_assets(host, found), *_end_standby(host, found)]
    if told:
        event = {"action": "end_windows", "release": found.standby.release, "outcome": "ended", "why": "; ".join(told)}
        host.state.tell(name, event)
    return told


def _end_assets(host: Host, found: Windows) -> list[str]:
    ended = [asset.path for asset in found.assets if asset not in found.kept]
    if not ended:
        return []
    # Loaded here, as below: see above.
    from .edge_config import edge_config  # noqa: PLC0415
    from .hands import LIVE_LIMIT_S  # noqa: PLC0415

    wanted = edge_config(host, found.live, found.standby, assets=found.kept)
    if canonical(found.placed) != canonical(wanted):
        host.files.place(found.live.stack, wanted)
    host.edge_api().wait_live(wanted, LIVE_LIMIT_S)
    return [f"{found.live.stack}: {found.standby.release} answers for {', '.join(ended)} no more"]


def _end_standby(host: Host, found: Windows) -> list[str]:
    if not found.standby_ends or _is_noted(host.state, found):
        return []
    host.runtime.stand_by(found.standby, STOPPED)
    write_file(_note(host.state, found), found.mark)
    return [f"{found.standby.stack}: the standby {found.standby.release} was stopped; a return to it starts it again"]


def _is_noted(state: HostState, found: Windows) -> bool:
    note = _note(state, found)
    return note.exists() and note.read_text() == found.mark


def _note(state: HostState, found: Windows) -> Path:
    return state.root / "stacks" / found.live.stack / "standby_ended"
