"""Decide whether a release may go live: pure, and the same on the controller and on the host.

What counts is a set of statements: neither their order nor one that does not count can change the answer for the
better.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..model.gate import Checked, Gate, Subject, Substance, instant, subject_of
from ..model.legible import on_one_line
from ..model.statement import (
    ACCEPTED,
    APPROVED,
    BREAK_GLASS,
    CLOSED,
    REQUESTED,
    VERIFIED,
    WITHDRAWN,
    Statement,
)
from .release_windows import RECOMMENDED, REFUSED, judge_window, next_slot, told_slot

DEPLOY, MIGRATE = "deploy", "migrate"
FRESH = timedelta(minutes=15)
SKEW = timedelta(minutes=2)  # what clocks of controller and host may differ
_MOST_REASONS = 3


@dataclass(frozen=True)
class Missing:
    """One thing that is not there: ``what`` in a sentence, ``because`` why what there is does not count.

    ``kind`` is the kind of statement that is missing; empty when it is none, as with a window.
    ``playbook``, ``environment`` and ``inputs`` make the command that supplies it; without a playbook ``do`` says it.
    """

    what: str
    because: tuple[str, ...] = ()
    playbook: str = ""
    environment: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    do: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Decision:
    """``relied_on`` are the statements that let it through; ``notes`` are for whoever asks."""

    missing: tuple[Missing, ...]
    notes: tuple[str, ...] = ()
    relied_on: tuple[Statement, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the release may go live."""
        return not self.missing


def judge(
    subject: Subject,
    environment: str,
    statements: Iterable[Checked],
    requester: str,
    now: datetime,
    gate: Gate,
    *,
    action: str = DEPLOY,
) -> Decision:
    """Whether ``requester`` (a principal) may put a release live in an environment now, or migrate to it."""
    if not gate.required:
        return Decision((), ("this environment has no gate",))
    return _Case(subject, environment, tuple(statements), requester, now, gate, action).decide()


def open_break_glasses(statements: Iterable[Checked]) -> list[Statement]:
    """Broken glass that nobody else has looked at since, oldest first.

    That its key was revoked closes nothing; the reason, as it is shown, says so.
    """
    known = list(statements)
    closed = {(one.statement.of, one.statement.by) for one in known if not one.fault and one.statement.kind == CLOSED}
    found = [
        replace(one.statement, why=f"signed with a key that is revoked: {one.statement.why}")
        if one.revoked
        else one.statement
        for one in known
        if one.stays_open and not any(of == one.statement.id and by != one.statement.by for of, by in closed)
    ]
    return sorted(found, key=lambda one: (one.at, one.id))


def withdrawn(statements: Iterable[Checked]) -> dict[str, Statement]:
    """The statements that take others back, by the id of what they take back."""
    return {one.statement.of: one.statement for one in statements if not one.fault and one.statement.kind == WITHDRAWN}


def lacks_substance(why: str, least: Substance) -> str:
    """What a reason lacks, in words; empty when it says enough."""
    words = {word.casefold() for word in re.findall(r"\w+", why)}
    said = len("".join(why.split()))
    if said < least.characters:
        return f"it has {said} characters, and at least {least.characters} are asked"
    # Languages that write no blanks have no words to count; their characters must differ as much.
    distinct = max(len(words), len({sign for sign in why if ord(sign) >= 0x2E80}) // 2)
    if distinct < least.words:
        return f"it has {distinct} different words, and at least {least.words} are asked"
    return ""


def expiry(statement: Statement, gate: Gate) -> datetime | None:
    """When an approval ends: at what it says, or at the longest life the gate grants. None: it has no readable time."""
    at = instant(statement.at)
    try:
        longest = at + timedelta(seconds=gate.valid_for) if at else None
    except OverflowError:  # it says a time at the end of all years
        return None
    said = instant(statement.expires) if statement.expires else longest
    return min(said, longest) if said and longest else None


class _Case:
    """One question put to the gate."""

    def __init__(
        self,
        subject: Subject,
        environment: str,
        statements: Sequence[Checked],
        requester: str,
        now: datetime,
        gate: Gate,
        action: str,
    ) -> None:
        self.subject, self.environment, self.statements = subject, environment, statements
        self.requester, self.now, self.gate, self.action = requester, now, gate, action
        self.withdrawn = withdrawn(statements)

    def decide(self) -> Decision:
        if not self.gate.signers:
            return Decision((self._nobody(),))
        glass, unbroken = self._counting(BREAK_GLASS, self.environment, self._fault_of_glass)
        if glass:
            broken = f"the glass is broken by {self.requester}: {glass[0].why}"
            return Decision((), (broken, *self._open(but=glass[0])), (glass[0],))
        request, because = self._counting(REQUESTED, self.environment, self._fault_of_request)
        if unbroken and not request:
            return Decision((self._unbroken(unbroken),))
        missing = [] if request else [self._unrequested(because)]
        relied_on = request[:1]
        for kind, environment, fault in (
            (VERIFIED, self.gate.verified_in, lambda _: ""),
            (ACCEPTED, self.gate.verified_in, lambda _: ""),
            (APPROVED, self.environment, self._fault_of_approval),
        ):
            found, because = self._counting(kind, environment, fault)
            relied_on += found[:1]
            missing += [] if found else [self._lacking(kind, because)]
        missing += self._window(request)
        return Decision(tuple(missing), self._notes(), tuple(relied_on))

    # -- what counts ---------------------------------------------------------------------------------------------------

    def _counting(
        self, kind: str, environment: str, fault: Callable[[Statement], str]
    ) -> tuple[list[Statement], tuple[str, ...]]:
        """Statements of a kind that count, newest first; and why those that nearly do, do not."""
        counting, because = [], []
        of_kind = [one for one in self.statements if one.statement.kind == kind]
        for one in sorted(of_kind, key=lambda one: (one.statement.at, one.statement.id), reverse=True):
            said = one.statement
            why = one.fault or self._fault(said, environment) or fault(said)
            if not why:
                counting.append(said)
            elif said.stack == self.subject.stack or said.release == self.subject.release:
                because.append(f"{kind} {said.id[:8]} by {said.by} does not count: {why}")
        return counting, tuple(because[:_MOST_REASONS])

    def _fault(self, said: Statement, environment: str) -> str:
        """Why a statement with a good signature is not about this release in this environment, or not any more."""
        at = instant(said.at)
        if at is None or at > self.now + SKEW:
            return f"it says {said.at}, which is not yet"
        if said.id in self.withdrawn:
            back = self.withdrawn[said.id]
            return f"{back.by} took it back: {back.why}"
        if said.environment != environment:
            return f"it is for {said.environment}, not {environment}"
        return difference(said, self.subject)

    def _fault_of_approval(self, said: Statement) -> str:
        ends = expiry(said, self.gate)
        if ends is None or ends <= self.now:
            return f"it expired at {said.expires or ends}"
        if said.by == self.requester:
            return f"{said.by} asks for the release, and somebody else has to approve it"
        return ""

    def _fault_of_request(self, said: Statement) -> str:
        if said.details.get("proposed"):
            return "it proposes the release, and does not ask for it to go live now"
        return self._fault_of_asking(said)

    def _fault_of_glass(self, said: Statement) -> str:
        lack = lacks_substance(said.why, self.gate.least_reason)
        return f"its reason says too little: {lack}" if lack else self._fault_of_asking(said)

    def _fault_of_asking(self, said: Statement) -> str:
        at = instant(said.at)
        if at is None or at < self.now - FRESH:
            return f"it is of {said.at}, and a request holds {FRESH.seconds // 60} minutes"
        if (asked := said.details.get("action")) != self.action:
            return f"it asks to {asked if asked in (DEPLOY, MIGRATE) else 'do something else'}, not to {self.action}"
        return "" if said.by == self.requester else f"{said.by} asks, and this run is {self.requester}'s"

    # -- what is missing -----------------------------------------------------------------------------------------------

    def _lacking(self, kind: str, because: tuple[str, ...]) -> Missing:
        release = {"stack": self.subject.stack, "release": self.subject.release}
        there = self.gate.verified_in
        who = ", ".join(name for name in self.gate.who_may(kind) if name != self.requester or kind != APPROVED)
        by = f" (by: {who or 'nobody may sign that: see allowed_signers'})"
        if kind == VERIFIED:
            what = f"no host of {there} has verified this very release{by}"
            return Missing(what, because, "deploy", there, release, kind=kind)
        if kind == ACCEPTED:
            what = f"nobody has tried and accepted this very release on {there}{by}"
            return Missing(what, because, "accept", there, {"stack": self.subject.stack}, kind=kind)
        what = f"nobody but the requester has approved this very release for {self.environment}{by}"
        return Missing(what, because, "approve", self.environment, release, kind=kind)

    def _window(self, request: Sequence[Statement]) -> list[Missing]:
        verdict = judge_window(self.gate.windows, self.subject.stack, self.now)
        if verdict.word != REFUSED:
            return []
        reasons = [str(one.details["window"]) for one in request if one.details.get("window")]
        lacks = [lacks_substance(why, self.gate.least_reason) for why in reasons]
        if "" in lacks:
            return []
        when = told_slot(next_slot(self.gate.windows, self.subject.stack, self.now), self.gate.windows,
                         self.subject.stack)  # fmt: skip
        return [
            Missing(
                f"no releases now ({verdict.policy}: {verdict.why}); next allowed: {when}",
                tuple(f"the reason given for now does not do: {lack}" for lack in lacks),
                do='wait, or say why it has to be now: -e \'{"window_reason": "…"}\'; it is signed and kept',
            )
        ]

    def _unrequested(self, because: tuple[str, ...]) -> Missing:
        release = {"stack": self.subject.stack, "release": self.subject.release}
        what = f"{self.requester or 'whoever runs this'} has not asked for it with a signature of the last 15 minutes"
        return Missing(what, because, "deploy", self.environment, release, kind=REQUESTED)

    def _unbroken(self, because: tuple[str, ...]) -> Missing:
        return Missing(
            "the glass is not broken by that",
            because,
            do='say what is wrong, for whom, and why it cannot wait: -e break_glass=true -e \'{"reason": "…"}\'',
            kind=BREAK_GLASS,
        )

    def _nobody(self) -> Missing:
        return Missing(
            f"nobody may release to {self.environment} yet: its allowed_signers names no key",
            do=f"put keys of people and hosts into inventories/{self.environment}/allowed_signers, then provision.yml",
        )

    def _notes(self) -> tuple[str, ...]:
        verdict = judge_window(self.gate.windows, self.subject.stack, self.now)
        best = next_slot(self.gate.windows, self.subject.stack, self.now, RECOMMENDED)
        notes = self._open()
        if verdict.word != RECOMMENDED and best:
            notes.append(f"next recommended: {told_slot(best, self.gate.windows, self.subject.stack)}")
        return tuple(notes)

    def _open(self, but: Statement | None = None) -> list[str]:
        """Glass that was broken before, for whatever stack, and that nobody has looked at."""
        return [f"it stays open: {told_open(one)}" for one in open_break_glasses(self.statements) if one != but]


def difference(said: Statement, subject: Subject) -> str:
    """How the release that a statement speaks of differs from another, in words; empty when it does not."""
    spoken = subject_of(said)
    if spoken.stack != subject.stack:
        return f"it is for stack {spoken.stack}, not {subject.stack}"
    if spoken.release != subject.release:
        return f"it is for {spoken.release}, not {subject.release}"
    for name in sorted({*spoken.digests, *subject.digests}):
        theirs, ours = spoken.digests.get(name, "no digest"), subject.digests.get(name, "no digest")
        if theirs != ours:
            return f"it is for {name} at {theirs[:19]}, not {ours[:19]}"
    if spoken.definition != subject.definition:
        return f"the stack file is another: it is for {spoken.definition[:12]}, not {subject.definition[:12]}"
    return ""


def told_open(glass: Statement) -> str:
    """A broken glass in one line."""
    release = f"{glass.stack} {glass.release} in {glass.environment}"
    return on_one_line(f"{glass.id[:8]}: {glass.by} broke the glass for {release} at {glass.at} ({glass.why})")
