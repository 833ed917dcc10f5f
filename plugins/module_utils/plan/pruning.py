"""Which images of a stack a host may let go of: pure.

Only those that this stack's own records name. What a container uses, what another stack's records name, and what a
rollback may want stays: so neither another stack nor another environment with its own records can lose anything by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from ..model.release import Release, StackState
from .containers import pinned
from .release import History, trail, was_live

Images = Mapping[int, Sequence[str]]
"""The images (``repository@digest``) of each record, by its number."""


def images_of(records: Iterable[Release]) -> dict[int, tuple[str, ...]]:
    """The images of records, as their containers are asked for: from the record alone, whatever the stack file says."""
    return {
        record.number: tuple(
            pinned(str(record.tree["services"][service]["image"]), digest) for service, digest in record.digests.items()
        )
        for record in records
    }


def kept_images(records: Sequence[Release], images: Images, state: StackState, history: History, keep: int) -> set[str]:
    """The images of the live release, of the standby, and of ``keep`` good releases that differ.

    First those of the way back, from the live release on, as a rollback goes it; then the newest of the others.
    """
    kept = {image for number in (state.live, state.standby) for image in images.get(number, ())}
    different: list[frozenset[str]] = []
    for number in _likeliest(records, state, history):
        of_it = frozenset(images.get(number, ()))
        if of_it and of_it not in different:
            different.append(of_it)
    return kept.union(*different[:keep])


def _likeliest(records: Sequence[Release], state: StackState, history: History) -> list[int]:
    """The good releases, those that a rollback takes first before those that only their name leads to."""
    good = was_live(history) - set(state.bad)
    newest = {record.origin: record.number for record in records if record.number in good}
    origins = {record.number: record.origin for record in records}
    live, path = origins.get(state.live, state.live), trail(history, origins)
    way = path[: path.index(live) + 1] if live in path else path
    return [newest[one] for one in reversed(way) if one in newest] + sorted(good & set(origins), reverse=True)


def prunable(own: Images, kept: Set[str], used: Iterable[str], elsewhere: Iterable[str], held: Set[str]) -> list[str]:
    """The images to let go of, in an order that does not change.

    ``used`` are those of all containers of the engine, whoever made them, ``elsewhere`` those that other stacks'
    records name, ``held`` what the engine has.
    """
    named = {image for images in own.values() for image in images}
    return sorted((named & held) - kept - set(used) - set(elsewhere))
