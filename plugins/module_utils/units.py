"""Have this host carry a release through by itself, in a unit of systemd, and listen to it for as long as one likes."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .gateway import library
from .gateway.host_state import HostState
from .gateway.told import ENDED, Told, tellings
from .gateway.units import Units
from .model.begun import Watched
from .model.errors import OpsError
from .report import Result, from_history, lines

POLL_S = 0.02
LOOK_EVERY_S = 0.5


def unit_of(stack: str, transaction: str) -> str:
    """The name of the unit that carries a transaction through. Its own: who may is decided by the stack's lock."""
    return f"seisei-release-{stack}-{transaction}"


def watch_of(stack: str, transaction: str) -> str:
    """The name of the unit that watches what a transaction put live."""
    return f"seisei-watch-{stack}-{transaction}"


def new_transaction() -> str:
    """A name for a transaction that nobody else has."""
    return uuid.uuid4().hex[:12]


def keep_library(state: HostState) -> Path:
    """Keep the code that runs now, beside what anything under way runs by."""
    in_use = []
    for stack in state.stacks():
        with suppress(OpsError):  # what cannot be read stops its own stack, not this one
            in_use += [note.library for note in (state.begun(stack), state.watched(stack)) if note]
    return library.keep(library.running_archive(), in_use=in_use)


def begin(stack: str, transaction: str, given: Mapping[str, Any]) -> None:
    """Start the unit that carries out what is given, once: asked again over a new connection, it is left at that.

    Raises OpsError when it cannot be started.
    """
    told, units, name = Told(stack, transaction), Units(), unit_of(stack, transaction)
    if told.is_known() and (not told.is_asked() or units.runs(name)):
        return
    kept = keep_library(HostState())
    told.ask(given)
    try:
        units.start(name, kept, ("release", stack, transaction), afterwards=("tend", stack, transaction))
    except OpsError:
        if not units.runs(name):  # it does when the same was asked a moment ago over another connection
            told.withdraw()
            raise


def start_watch(watched: Watched) -> None:
    """Start the unit that watches a release, unless it runs. Raises OpsError when it cannot be started."""
    name = watch_of(watched.stack, watched.transaction)
    if not Units().runs(name):
        kept = keep_library(HostState())
        Units().start(name, kept, ("watch", watched.stack), afterwards=("tend", watched.stack))


@dataclass
class Heard:
    """What was told: lines for a person, the count of events so far, and the result once it has ended."""

    transaction: str
    count: int
    lines: list[str] = field(default_factory=list)
    result: Result | None = None
    runs: bool = True

    def as_result(self) -> Result:
        """The answer of the module: the end, or how far it is."""
        if self.result is None:
            told = {"transaction": self.transaction, "heard": self.count, "runs": self.runs}
            return {"changed": True, "display": self.lines, **told}
        return {**self.result, "display": [*self.lines, *self.result.get("display", [])]}


def listen(stack: str, transaction: str, since: int, *, least_s: float, most_s: float) -> Heard:
    """Listen to a transaction (without a name: what goes on, else the newest) until it ends.

    Comes back before that once there is something to tell and ``least_s`` seconds have passed, or after ``most_s``.
    Raises OpsError when nothing is known of it, or it ended without a word.
    """
    state = HostState()
    told = Told(stack, transaction) if transaction else _at_hand(state, stack)
    if told is None:
        raise OpsError(
            f"nothing was done with '{stack}' since this host was started",
            do=f"history.yml -e stack={stack} says what was done before",
        )
    began = time.monotonic()
    looked, runs = began, True
    while True:
        entries = told.since(since)
        now = time.monotonic()
        heard = Heard(told.transaction, since + len(entries), lines(entries), _end_of(entries), runs)
        enough = entries and now - began >= least_s
        if heard.result is not None or enough or now - began >= most_s:
            return heard
        if now - looked >= LOOK_EVERY_S:
            looked = now
            runs = Units().runs(unit_of(stack, told.transaction))
            if not runs and not told.has_ended():
                heard.result = _end_on_disk(state, stack, told)
                if heard.result:
                    return heard
        time.sleep(POLL_S)


def _at_hand(state: HostState, stack: str) -> Told | None:
    """What goes on in a stack, or is being put right; else the newest.

    Whoever asks wants to see that, and not how somebody else was refused because of it. A migration is never begun,
    nor is a release that still has its services set up: their units run.
    """
    if begun := state.begun(stack):
        return Told(stack, begun.id)
    found = tellings(stack)
    going = (one for one in found if not one.has_ended() and Units().runs(unit_of(stack, one.transaction)))
    return next(going, found[0] if found else None)


def _end_of(entries: list[dict[str, Any]]) -> Result | None:
    return next((dict(entry[ENDED]) for entry in entries if ENDED in entry), None)


def _end_on_disk(state: HostState, stack: str, told: Told) -> Result | None:
    """The end of what died without a word, as history has it; None while it is still to be put right.

    Raises OpsError when nothing is known of it.
    """
    begun = state.begun(stack)
    if begun and begun.id == told.transaction:
        return None
    found = state.told_of(stack, told.transaction)
    if not found and not told.is_known():
        raise OpsError(
            f"nothing is known of transaction {told.transaction}: it was not begun",
            where=stack,
            do="run the same again; history.yml says what was done",
        )
    return from_history(stack, found[-1] if found else {})
