"""A host's own word for the ledger: said, signed with its SSH host key, and kept until a controller fetches it.

Nothing here may undo a release: what cannot be signed or written is a warning in the receipt.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .gateway.host_spool import HostSpool
from .gateway.host_state import HostState, now
from .gateway.signatures import HOST_KEY, fingerprint_of, sign
from .model.errors import OpsError
from .model.gate import Gate
from .model.release import Release
from .model.statement import Signed, Statement

Sign = Callable[[Statement], Signed]
# What containers said, in excerpts: a ledger forgets nothing, and a database that stops a migration names the rows,
# which are people's. The host's own history has it.
_STAYS_HERE = ("error", "warnings")
_AT_ONCE = 500  # statements that one answer carries; the next run fetches the rest


class Host(Protocol):
    """As much of :class:`hands.Host` as is needed: without the engine's SDK, which takes time to load."""

    environment: str
    state: HostState


@dataclass(frozen=True)
class Spooled:
    """The id of the statement that waits now, or why there is none."""

    id: str = ""
    warning: str = ""


def spool_statement(
    host: Host,
    kind: str,
    release: Release,
    details: Mapping[str, Any],
    *,
    why: str = "",
    by: str = "",
    sign_it: Sign | None = None,
) -> Spooled:
    """Say what this host did with a release, or that it verified it, and keep it for the ledger.

    ``by`` is this host's name among the signers (see :func:`name_of_host`). ``details`` is JSON: for ``happened`` what
    history tells (``action``, ``outcome``, ``seconds``, ``by`` who asked, …), for ``verified`` the smoke tests' tally.
    Never raises.
    """
    try:
        statement = Statement(
            kind=kind,
            environment=host.environment,
            stack=release.stack,
            release=release.release,
            digests=dict(release.digests),
            definition=release.stack_file,
            by=by or name_of_host(),
            at=now(),
            why=why,
            details={name: value for name, value in details.items() if name not in _STAYS_HERE},
        )
        HostSpool(host.state.root).add((sign_it or _sign_with_the_host_key)(statement))
    except OpsError as error:
        return Spooled(warning=f"the ledger will not know of this: {error}")
    return Spooled(statement.id)


def name_of_host(gate: Gate | None = None) -> str:
    """This host's name among an environment's signers, found by its key; its host name where the gate is not known."""
    if gate is not None:
        mark = fingerprint_of(f"{HOST_KEY}.pub")
        for one in gate.signers:
            if one.fingerprint == mark:
                return one.name
    return platform.node()


def _sign_with_the_host_key(statement: Statement) -> Signed:
    return sign(statement, HOST_KEY)


def with_spool(result: dict[str, Any], spool: HostSpool | None = None) -> dict[str, Any]:
    """A module's last answer with what waits for the ledger; as it is while something goes on, or that is unreadable.

    The controller asks again with the module ``spool`` where an answer has nothing of it, and is told what is wrong.
    """
    if "transaction" in result:
        return result
    try:
        return {**result, **for_the_ledger(spool or HostSpool())}
    except OpsError:
        return result


def for_the_ledger(spool: HostSpool, but: Collection[str] = ()) -> dict[str, Any]:
    """What a module's answer carries of the spool: the oldest statements that wait, how many there are, the head.

    ``but`` are ids that the controller was told of and could not write: they count as waiting, and hold up no other.
    """
    waiting = spool.waiting()
    told = [one for one in waiting.statements if one.statement.id not in but] if but else waiting.statements
    return {
        "to_ledger": [one.as_dict() for one in told[:_AT_ONCE]],
        "waiting": len(waiting.statements),
        "ledger_head": spool.head().as_dict(),
        "spool_faults": list(waiting.faults),
    }
