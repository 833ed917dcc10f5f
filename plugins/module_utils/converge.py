"""Converge all stacks of this host: lock them, plan, apply, tell."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from .apply import Apply, failure, plan
from .gateway.host_state import seconds_since
from .hands import wanted_from
from .transaction import Host


def converge(
    host: Host, entries: Sequence[Mapping[str, Any]], secrets: Mapping[str, Mapping[str, str]], *, rehearse: bool
) -> dict[str, Any]:
    """The module's result: ``changed``, ``plan``, ``notes``, ``display``, and after a real run ``report``.

    ``entries`` are stacks as the controller sent them. With ``rehearse`` nothing is locked and nothing done. A step
    that failed is told in ``msg`` and ``error``; what did not depend on it is done all the same.
    Raises OpsError at once when somebody else is changing one of the stacks.
    """
    began = time.monotonic()
    with ExitStack() as held:
        if not rehearse:
            for entry in entries:
                held.enter_context(host.state.locked(entry["name"], "converge"))
        wanted = [wanted_from(host, entry, secrets.get(entry["name"], {})) for entry in entries]
        planned = plan(host, wanted)
        lines = planned.lines()
        result: dict[str, Any] = {
            "changed": planned.changed,
            "plan": lines,
            "notes": list(planned.notes),
            "display": lines,
        }
        if rehearse:
            return result
        outcome = Apply(host, secrets).run(planned)
    result["report"] = {"done": outcome.done, "left": outcome.left, "seconds": seconds_since(began)}
    if error := failure(outcome):
        result |= {"msg": str(error), "error": error.as_dict()}
    return result
