"""Ask the database server of a release for its room, from where the application stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .diagnose_database import surroundings_of
from .gateway.postgres import observe
from .hands import Host
from .model.connection import OK
from .model.database import STOP_FIRST
from .model.errors import OpsError
from .model.release import Release
from .model.stack import Stack, parse_tree
from .plan.connection import Declared
from .plan.connection_budget import BOTH, ONE, Room, budget, room_from, shortage

ROLL_BACK = "roll_back"


def see_room(
    host: Host, release: Release, stack: Stack, old: Release | None, action: str, warn: Callable[[str], None]
) -> bool:
    """Whether the old release has to be stopped before this one starts, for want of connections.

    Without an application that runs now there is nowhere to ask from, and nobody to take connections from.
    Raises OpsError, with the figures, when there is no room and the stack does not say stop_first, or the server cannot
    be asked. A rollback is never refused for that: it is told, and goes on.
    """
    block = stack.ops.database
    assert block is not None
    before = parse_tree(old.tree, f"release {old.number}").ops.database if old else None
    old_pool = before.pool if before else 0
    try:
        room = ask_for_room(host, release, stack)
        if room is None:
            return False
        found = budget(room, block.pool, old_pool, databases=len(block.names))
        if found.fits == BOTH:
            return False
        if found.fits == ONE and old and block.when_short == STOP_FIRST:
            return True
        raise shortage(found, room, block.pool, old_pool, f"{stack.name} {release.release}")
    except OpsError as error:
        if action != ROLL_BACK:
            raise
        warn(str(error))
        return False


def ask_for_room(host: Host, release: Release, stack: Stack) -> Room | None:
    """What the server says, asked with the declared settings and the stack's own password; None from nowhere.

    Raises OpsError when it cannot be reached or does not let the stack in: a candidate could not either.
    """
    block = stack.ops.database
    assert block is not None
    surroundings = surroundings_of(stack, host.environment, host.engine, host.state)
    if surroundings is None:
        return None
    password = host.secrets.values(stack.name, release.secrets).get(block.password, "")
    declared = Declared(stack.name, block, password, stack.configs.get(block.ca, ""))
    # All databases are of one server, so one of them is enough.
    connection = replace(declared.connection(), names=block.names[:1])
    seen = observe(connection, surroundings)
    session = next((one for one in seen if one.layer == "session" and one.code == OK), None)
    if session is None:
        last = seen[-1]
        said = last.facts.get("message") or last.code.replace("_", " ")
        raise OpsError(
            f"the database at {block.address} does not let the release in ({last.layer}: {said})",
            where=f"{stack.name} {release.release}",
            do=f"run diagnose_database.yml -e stack={stack.name}",
        )
    return room_from(session.facts)
