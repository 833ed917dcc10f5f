"""Whether a database server has room for the pools of two releases at once: pure.

Between its start and the end of the old release, a candidate holds its own pool beside the old one's. A server that
runs out of connections refuses everybody who comes, the live release included.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..model.errors import OpsError

BOTH, ONE, NONE = "both", "one", "none"
_NO_LIMIT = -1


@dataclass(frozen=True)
class Room:
    """What a server says of its connections; limits of role and database are -1 when there are none.

    ``used`` counts everybody, ``used_by_role`` the role of the stack, ``used_in_database`` its (first) database.
    """

    most: int
    reserved: int
    used: int
    used_by_role: int
    used_in_database: int = 0
    role_limit: int = _NO_LIMIT
    database_limit: int = _NO_LIMIT


@dataclass(frozen=True)
class Budget:
    """For whom there is room: "both" releases, "one" of them, or "none".

    ``wanted`` connections at their fullest against ``takes`` of the tightest limit, which is named by ``limit``.
    """

    fits: str
    wanted: int
    takes: int
    limit: str
    others: int

    @property
    def lacking(self) -> int:
        """How many connections too few there are for both."""
        return max(0, self.wanted - self.takes)


def room_from(facts: Mapping[str, Any]) -> Room:
    """From what a look at a session saw (gateway.postgres)."""
    return Room(**{name: int(facts[name]) for name in Room.__dataclass_fields__ if name in facts})


def budget(room: Room, pool: int, old_pool: int, *, databases: int = 1) -> Budget:
    """The budget of a candidate with ``pool`` connections beside an old release with ``old_pool`` (0: there is none).

    The old release may grow to its pool at any time, and what the role holds beyond that stays: a standby, a worker. A
    limit of the database is looked at when the stack has one database: only then is it known who is in it.
    """
    others = max(0, room.used - room.used_by_role)
    ours = max(room.used_by_role, old_pool)
    limits = [("the server", room.most - room.reserved, others)]
    if room.role_limit >= 0:
        limits.append(("the role", room.role_limit, 0))
    if room.database_limit >= 0 and databases == 1:
        limits.append(("the database", room.database_limit, max(0, room.used_in_database - room.used_by_role)))
    # Without the old release what the role holds beyond its pool is still there.
    one = [takes - beside - max(0, room.used_by_role - old_pool) - pool for _, takes, beside in limits]
    name, takes, beside = min(limits, key=lambda limit: limit[1] - limit[2])
    wanted = beside + ours + pool
    fits = BOTH if wanted <= takes else ONE if min(one) >= 0 else NONE
    return Budget(fits, wanted, takes, name, beside)


def shortage(found: Budget, room: Room, pool: int, old_pool: int, where: str) -> OpsError:
    """What to tell of a budget that does not fit, with its figures."""
    takes = f"{room.most} less {room.reserved} reserved" if found.limit == "the server" else "its limit"
    way = "say x-ops.database.when_short: stop_first, " if found.fits == ONE else ""
    return OpsError(
        f"{found.limit} takes {found.takes} connections ({takes}), and {found.wanted} would be wanted: others hold "
        f"{found.others}, this role holds {room.used_by_role}, and the releases may hold {old_pool} and {pool}; "
        f"{found.lacking} too few",
        where=where,
        do=f"{way}lower x-ops.database.pool, or raise the limit; pg_stat_activity tells who holds them",
    )
