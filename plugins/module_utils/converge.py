"""Converge all stacks of this host: lock them, plan, apply, tell; report its drift; remove a stack for good."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

from .apply import Apply, Outcome, failure, note_applied, observe
from .definition import proven
from .gateway.host_gate import read_gate
from .gateway.host_state import seconds_since
from .hands import Host, wanted_from
from .hurry import deaf
from .model.errors import OpsError
from .model.host import Observed, WantedStack
from .model.stack import parse_tree
from .plan.release import was_live
from .plan.saved import host_marks, other_steps, since_saved
from .plan.stacks import plan_stacks
from .plan.steps import Plan
from .plan.undeclared import removal

Result = dict[str, Any]


@dataclass(frozen=True)
class Wish:
    """What a run wants of a host.

    ``entries`` are stacks as the controller sent them, ``secrets`` their values by stack and name, ``declared`` the
    names of all stacks of the estate, None when only these are looked at; ``saved`` is what a rehearsal saw, when just
    its plan is wanted.
    """

    entries: Sequence[Mapping[str, Any]] = ()
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    declared: Sequence[str] | None = None
    saved: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The stacks to converge."""
        return [str(entry["name"]) for entry in self.entries]

    def changes(self, there: Collection[str]) -> list[str]:
        """The stacks that may be changed, of those that are there: who is not declared is stopped."""
        gone = set() if self.declared is None else set(there) - set(self.declared)
        return sorted({*self.names, *gone})


def rehearse(host: Host, wish: Wish) -> Result:
    """What :func:`converge` would do now; ``seen`` in the result, given back as ``saved``, has it do just that.

    Raises OpsError when a saved plan does not fit any more.
    """
    wanted, observed, planned = _plan(host, wish)
    result = _told(planned)
    result["notes"] += _cut_off(host, wish.changes(host.state.stacks()))
    # By a key that is not kept yet the marks will be others when the plan is applied: there is nothing to compare.
    marks = {one.stack.name: dict(one.secret_marks) for one in wanted} if host.secrets.key.exists() else {}
    return {**result, "seen": {"secret_marks": marks, "things": host_marks(observed), "steps": result["steps"]}}


def converge(host: Host, wish: Wish) -> Result:
    """Do what is to be done. The result has ``changed``, ``plan``, ``steps``, ``notes``, ``display`` and ``report``.

    A step that failed is told in ``msg`` and ``error``; what did not depend on it is done all the same.
    Raises OpsError at once when somebody else is changing one of the stacks, or a saved plan does not fit any more.
    """
    began = time.monotonic()
    with ExitStack() as held:
        for name in wish.changes(host.state.stacks()):
            held.enter_context(host.state.locked(name, "converge"))
        deaf()  # who wants to go back may ask a release that is finished here to hurry: that must not kill us
        tended, stuck = _tend(host, wish.changes(host.state.stacks()))
        wanted, _, planned = _plan(host, wish)
        outcome = Apply(host, wish.secrets).run(planned)
        # What could not be put right may have waited for just what the plan mended, the edge above all.
        again, stuck = _tend(host, list(stuck))
        _remember(host, wanted, planned, outcome)
    result = _done(planned, outcome, began, stuck)
    if lines := [*tended, *again]:
        result |= {"changed": True, "display": [*lines, *result["display"]]}
    return result


def _cut_off(host: Host, names: Sequence[str]) -> list[str]:
    found = [begun for name in names if (begun := host.state.begun(name))]
    then = "one that was is finished or undone first, and the plan may be another then"
    return [f"{begun.stack}: a {begun.action} goes on or was cut off; {then}" for begun in found]


def _tend(host: Host, names: Sequence[str]) -> tuple[list[str], dict[str, OpsError]]:
    """Bring to rest what transactions that died left of these stacks; what was done, and what could not be."""
    left = [name for name in names if host.state.begun(name)]
    lines: list[str] = []
    stuck: dict[str, OpsError] = {}
    if not left:
        return lines, stuck
    # Loaded here: nearly every convergence comes upon nothing, and is over before this would be.
    from .tend import tend, told  # noqa: PLC0415

    for name in left:
        try:
            lines += told(tend(host, name))
        except OpsError as error:  # a reason to go on: this run may be what mends it
            stuck[name] = error
    return lines, stuck


def drift(host: Host, names: Sequence[str]) -> Result:
    """What differs from what was last converged here, though nobody declared otherwise since. Changes nothing.

    It asks nobody but the host: neither the stack files, nor the registry, nor the secrets store.
    """
    known = {name: applied for name in names if (applied := host.state.applied(name))}
    wanted = [_from_applied(host, applied) for applied in known.values()]
    planned = plan_stacks(wanted, observe(host, list(known)), host.environment)
    never = [f"{name} was never converged on this host" for name in names if name not in known]
    # What waits to be rolled out is no drift: it was declared.
    return _told(Plan(planned.steps, (*planned.notes, *never)))


def remove_stack(host: Host, name: str, *, rehearsal: bool) -> Result:
    """Remove all that this host has of one stack, its data included; only its history stays.

    Raises OpsError when there is nothing of it here.
    """
    began = time.monotonic()
    with ExitStack() as held:
        if not rehearsal:
            held.enter_context(host.state.locked(name, "remove_stack"))
        planned = removal(name, observe(host))
        if len(planned.steps) == 1 and not host.state.known(name):  # nothing but to forget, and nothing to forget
            there = [one for one in host.state.stacks() if host.state.known(one)]
            raise OpsError(
                f"this host has nothing of a stack '{name}'; it has {', '.join(there) or 'none'}",
                do="check the name; there may be nothing left to do",
            )
        if rehearsal:
            return _told(planned)
        outcome = Apply(host, {}).run(planned)
        if not outcome.failed:
            host.state.tell(name, {"action": "remove_stack", "outcome": "removed"})
    return _done(planned, outcome, began)


def _plan(host: Host, wish: Wish) -> tuple[list[WantedStack], Observed, Plan]:
    entries = [_known_by(host, entry) for entry in wish.entries]
    wanted = [wanted_from(host, entry, wish.secrets.get(entry["name"], {})) for entry in entries]
    if any(one.baseline and not host.state.state(one.stack.name).live for one in wanted) and _has_gate(host):
        wanted = [replace(one, gated=True) for one in wanted]
    observed = observe(host, wish.names)
    planned = plan_stacks(wanted, observed, host.environment, wish.declared)
    if wish.saved:
        _refuse_unless_as_saved(wish.saved, wanted, observed, planned)
    return wanted, observed, planned


def _has_gate(host: Host) -> bool:
    """Whether what goes live here first has to pass the gate: everything but the baselines of a bare host."""
    ours = read_gate()
    return ours is not None and ours.gate.required and any(was_live(host.state.history(s)) for s in host.state.stacks())


def _known_by(host: Host, entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a first release is to be made: the entry by the stack file that is worked out here, not by what it says."""
    if not entry.get("baseline") or host.state.state(entry["name"]).live:
        return entry
    return proven(entry, entry.get("file") or {})


def _refuse_unless_as_saved(
    saved: Mapping[str, Any], wanted: Sequence[WantedStack], observed: Observed, planned: Plan
) -> None:
    rotated = [
        f"the value of secret {name} of {one.stack.name} changed"
        for one in wanted
        for name, mark in one.secret_marks.items()
        if saved["secret_marks"].get(one.stack.name, {}).get(name, mark) != mark
    ]
    changes = [*rotated, *since_saved(saved["things"], host_marks(observed)), *other_steps(saved["steps"], planned)]
    if changes:
        raise OpsError(
            f"this host is not as it was when the plan was saved: {'; '.join(changes)}",
            where="the saved plan",
            do="nothing was done; make and read a new plan",
        )


def _remember(host: Host, wanted: Sequence[WantedStack], planned: Plan, outcome: Outcome) -> None:
    """Note what each stack was converged to, when all of its steps were taken: drift is what differs from that."""
    undone = {step.stack for step in planned.steps if step.id in {*outcome.failed, *outcome.left}}
    for one in wanted:
        if one.stack.name not in undone:
            note_applied(host, one)


def _from_applied(host: Host, applied: Mapping[str, Any]) -> WantedStack:
    entry = applied["entry"]
    stack = parse_tree(entry["tree"], f"what {entry['name']} was converged to")
    return WantedStack(stack, entry["digests"], entry.get("baseline", ""), applied["secret_marks"], host.cert_resolver)


def _told(planned: Plan) -> Result:
    lines = planned.lines()
    steps = [step.as_dict() for step in planned.steps]
    return {
        "changed": planned.changed,
        "plan": lines,
        "steps": steps,
        "notes": [*planned.notes, *planned.pending],
        "display": lines,
        "report": {"steps": steps},
    }


def _done(planned: Plan, outcome: Outcome, began: float, stuck: Mapping[str, OpsError] | None = None) -> Result:
    result = _told(planned)
    result["report"] |= {"done": outcome.done, "left": outcome.left, "seconds": seconds_since(began)}
    if error := failure(replace(outcome, failed={**outcome.failed, **(stuck or {})})):
        left = [f"left: {name}" for name in outcome.left]
        result |= {"msg": str(error), "error": error.as_dict()}
        result["display"] = [*result["display"], *left]
        result["notes"] = [*result["notes"], *left]
    return result
