"""Which images of a stack a host may let go of: pure.

Only those that this stack's own records name. What a container uses, what another stack's records name, and what a
rollback may want stays: so neither another stack nor another environment with its own records can lose anything by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set

from ..model.release import Release, StackState
from .containers import pinned
from .release import History, was_live

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
    """The images of the live release, of the standby, and of the newest ``keep`` good releases that differ."""
    kept = {image for number in (state.live, state.standby) for image in images.get(number, ())}
    good = was_live(history) - set(state.bad)
    different: list[frozenset[str]] = []
    for record in sorted(records, key=lambda one: one.number, reverse=True):
        of_it = frozenset(images.get(record.number, ()))
        if record.number in good and of_it and of_it not in different:
            different.append(of_it)
    return kept.union(*different[:keep])


def prunable(own: Images, kept: Set[str], used: Iterable[str], elsewhere: Iterable[str], held: Set[str]) -> list[str]:
    """The images to let go of, in an order that does not change.

    ``used`` are those of all containers of the engine, whoever made them, ``elsewhere`` those that other stacks'
    records name, ``held`` what the engine has.
    """
    named = {image for images in own.values() for image in images}
    return sorted((named & held) - kept - set(used) - set(elsewhere))
