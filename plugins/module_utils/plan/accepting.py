"""What a person's word on a release is held against before it is signed: what runs, what was verified and accepted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..model.gate import Checked, Subject, instant
from ..model.statement import ACCEPTED, VERIFIED, Statement
from .gate import SKEW, difference, withdrawn


def lacks_verification(known: Sequence[Checked], live: Subject, environment: str, now: datetime) -> str:
    """Why the release that is live in an environment does not count as verified there; empty when it does."""
    found = _standing(known, VERIFIED, live, environment)
    past = [one for one in found if (at := instant(one.at)) is not None and at <= now + SKEW]
    why = [difference(one, live) for one in past]
    if "" in why:
        return ""
    if why:
        return f"what runs in {environment} is not what a host verified: {why[0]}"
    if found:
        return f"its verification says {found[0].at}, which is not yet"
    return f"no host of {environment} has verified {live.release or 'a release'} of {live.stack}"


def differs_from_accepted(known: Sequence[Checked], subject: Subject, environment: str) -> str:
    """How the images of a release differ from every acceptance of it; empty when one fits, or there is none yet.

    Of the images alone: to approve another stack file is to approve in advance.
    """
    found = _standing(known, ACCEPTED, subject, environment)
    if not found or any(dict(one.digests) == dict(subject.digests) for one in found):
        return ""
    return f"{found[0].by} accepted other images under this name: {difference(found[0], subject)}"


def _standing(known: Sequence[Checked], kind: str, subject: Subject, environment: str) -> list[Statement]:
    """What was said of a kind about a release of that name, and was not taken back; newest first."""
    back = withdrawn(known)
    found = [
        one.statement
        for one in known
        if not one.fault and one.statement.id not in back
        and (one.statement.kind, one.statement.environment) == (kind, environment)
        and (one.statement.stack, one.statement.release) == (subject.stack, subject.release)
    ]  # fmt: skip
    return sorted(found, key=lambda one: (one.at, one.id), reverse=True)
