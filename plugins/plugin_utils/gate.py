"""The gate on the controller: collect what was signed, ask with a signature, judge, and send it along to the host."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ..module_utils.gate import refusal
from ..module_utils.model.errors import OpsError
from ..module_utils.model.gate import Checked, Subject
from ..module_utils.model.ledger import LedgerAway, LedgerTampered
from ..module_utils.model.legible import on_one_line
from ..module_utils.model.statement import BREAK_GLASS, REQUESTED, WITHDRAWN, Signed, Statement
from ..module_utils.plan.gate import DEPLOY, Decision, Missing, judge
from ..module_utils.plan.ledger import tail_of
from .estate import EstateAction, stack_definition, stack_source
from .ledger import Ledger
from .statements import Statements, checked, of_release, say, signatory, where

_WHERE = "gate"
_INPUTS = ("break_glass", "window_reason", "auto_promote")


@dataclass(frozen=True)
class Passed:
    """What goes to the host, which judges for itself, and what the person is told."""

    subject: Subject
    arguments: dict[str, Any]
    notes: tuple[str, ...] = ()


def for_the_host(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What a task says, without what is said to the gate alone."""
    return {name: value for name, value in asked.items() if name not in _INPUTS}


def subject_from(given: Mapping[str, Any], release: str, releases: tuple[str, ...]) -> Subject:
    """The release as statements name it, of the arguments that go to a module."""
    entry = given["entry"]
    digests = {service: entry["digests"][service] for service in releases}
    return Subject(entry["name"], release, digests, stack_definition(entry["name"]))


def release_to_pass(
    action: EstateAction, *, what: str = "deploy", only_asking: bool = False, ledger: Statements | None = None
) -> Passed:
    """The arguments of a module that brings a stack to a release, once the gate lets it pass; see :func:`pass_gate`.

    Each thing is asked only when it is needed: where nobody may sign, neither registry nor secrets store is.
    """
    name, release = str(action.arguments["stack"]), str(action.arguments["release"])
    environment = action.environment
    if environment.gate.required and not environment.gate.signers:
        nothing = Subject(name, release, {}, "")
        raise refusal(judge(nothing, environment.name, (), "", datetime.now(UTC), environment.gate), where=_WHERE)
    given = action.release_arguments(name, release)
    secrets = dict if only_asking else lambda: action.secret_arguments(name)
    passed = pass_gate(action, given, what=what, only_asking=only_asking, secrets=secrets, ledger=ledger)
    return replace(passed, arguments={**given, **passed.arguments})


def pass_gate(
    action: EstateAction,
    given: Mapping[str, Any],
    *,
    what: str = DEPLOY,
    only_asking: bool = False,
    secrets: Callable[[], dict[str, Any]] = dict,
    ledger: Statements | None = None,
) -> Passed:
    """Let a release or a migration pass, or raise with everything that it lacks and the commands that supply it.

    ``given`` are the arguments for the module, digests included. What the operator said is read of the task: ``stack``,
    ``release``, ``reason``, ``break_glass``, ``window_reason``. A rehearsal signs and writes nothing, nor does
    ``only_asking``. ``secrets`` fetches more arguments: once it is known that the release may go live, and before that
    is signed, so that nobody has asked for, or broken glass for, what cannot begin.

    :raises InvalidInput: naming everything that is missing.
    :raises OpsError: when nobody can sign here, or the ledger cannot be used and no glass is broken.
    """
    asked, environment = action.arguments, action.environment
    name, release = str(asked["stack"]), str(asked["release"])
    subject = subject_from(given, release, action.stack(name).ops.releases)
    if not environment.gate.required:
        if boolean(asked.get("break_glass", False)):
            raise OpsError(f"{environment.name} has no gate", where="-e break_glass", do="leave it out")
        return Passed(subject, {"gate": {"required": False, **_file(action, name)}, **secrets()})
    glass = boolean(asked.get("break_glass", False))
    me = signatory(action, BREAK_GLASS if glass else REQUESTED)
    request = say(action, BREAK_GLASS if glass else REQUESTED, subject, me.name,
                  why=str(asked.get("reason") or ""), details=_details(asked, what))  # fmt: skip
    now = datetime.now(UTC)
    ledger = ledger or Ledger(environment)
    kept, away = _kept(ledger, glass)
    known = checked(kept, environment.gate, now, of_release(name, release))
    decision = judge(subject, environment.name, [*known, Checked(request)], me.name, now, environment.gate, action=what)
    if not decision.allowed:
        raise refusal(decision, where=_WHERE, commands=[_command(action, one) for one in decision.missing])
    more = secrets()
    if only_asking or action.rehearsal:
        return Passed(subject, {"gate": {"required": True}, **more}, _told(decision))
    mine = me.sign(request)
    if away is None:
        away = _append(ledger, mine, glass)
    arguments = {
        "required": True,
        **_file(action, name),
        "requester": me.name,
        # What the host knows of the ledger has to be in it still: a withdrawal may be what was cut off.
        "ledger": {} if away else tail_of(ledger.hashes()),
        "statements": [one.as_dict() for one in [*_to_send(kept, decision, name), mine]],
    }
    return Passed(subject, {"gate": arguments, **more}, (*_told(decision), *_told_away(away)))


def _file(action: EstateAction, name: str) -> dict[str, Any]:
    """What a host needs to work out the stack file's fingerprint for itself: it signs for no other."""
    return {"source": stack_source(name), "variables": dict(action.variables)}


def _details(asked: Mapping[str, Any], what: str) -> dict[str, str]:
    details = {"action": what}
    return {**details, "window": str(asked["window_reason"])} if asked.get("window_reason") else details


def _kept(ledger: Statements, glass: bool) -> tuple[list[Signed], OpsError | None]:
    try:
        return ledger.signed(), None
    except (LedgerAway, LedgerTampered) as away:
        if not glass:
            raise _waits(away) from away
        return [], away


def _append(ledger: Statements, mine: Signed, glass: bool) -> OpsError | None:
    try:
        ledger.append(mine)
    except (LedgerAway, LedgerTampered) as away:
        if not glass:
            raise _waits(away) from away
        return away
    return None


def _waits(away: OpsError) -> OpsError:
    return OpsError(
        f"an ordinary release waits for the ledger: {away.what}",
        where=away.where,
        do=f"{away.do}; until then roll_back.yml works, and so does -e break_glass=true with a reason",
    )


def _to_send(kept: list[Signed], decision: Decision, stack: str) -> list[Signed]:
    """What the host needs: what the decision relies on, and what was taken back."""
    wanted = [f'"id":"{one.id}"' for one in decision.relied_on]
    about = f'"stack":"{stack}"'
    return [
        one
        for one in kept
        if about in one.text and (f'"kind":"{WITHDRAWN}"' in one.text or any(text in one.text for text in wanted))
    ]


def _command(action: EstateAction, missing: Missing) -> str:
    if not missing.playbook:
        return missing.do
    inputs = "".join(f" -e {name}={value}" for name, value in missing.inputs.items())
    return f"ansible-playbook playbooks/{missing.playbook}.yml {where(action, missing.environment)}{inputs}"


def _told(decision: Decision) -> tuple[str, ...]:
    relied = [f"gate: {one.kind} by {one.by} at {one.at} ({one.id[:8]})" for one in decision.relied_on]
    return tuple(on_one_line(line) for line in (*relied, *(f"gate: {note}" for note in decision.notes)))


def _told_away(away: OpsError | None) -> tuple[str, ...]:
    return (f"gate: the ledger cannot be used ({away.what}); the host keeps what was signed",) if away else ()


def promoted(action: EstateAction, passed: Passed | None, result: dict[str, Any]) -> dict[str, Any]:
    """The result of a deploy, once its release was proposed where ``auto_promote`` asks for that.

    A proposal that cannot be made is a warning: the release is live all the same.
    """
    asked = boolean(action.arguments.get("auto_promote", False))
    if not asked or passed is None or result.get("failed") or action.rehearsal:
        return result
    try:
        lines = proposal(action, passed.subject)
    except OpsError as error:
        lines = [f"  warning: the release was not proposed: {error}"]
    return {**result, "display": [*result.get("display", ()), *lines]}


def proposal(action: EstateAction, subject: Subject, *, ledger: Statements | None = None) -> list[str]:
    """Propose a release that is live here for the environment that this one leads to; the commands for it.

    Raises OpsError when this environment leads nowhere, or the proposal cannot be signed or written.
    """
    target = action.environment.gate.promotes_to
    if not target:
        raise OpsError(
            f"{action.environment.name} leads to no other environment",
            where="-e auto_promote",
            do="leave it out, or set ops_environment.gate.promotes_to",
        )
    me = signatory(action, REQUESTED)
    request: Statement = say(action, REQUESTED, subject, me.name, environment=target, details={"proposed": True})
    (ledger or Ledger(action.environment)).append(me.sign(request))
    release = f"-e stack={subject.stack} -e release={subject.release}"
    accept = f"ansible-playbook playbooks/accept.yml {where(action, action.environment.name)} -e stack={subject.stack}"
    return [
        f"proposed for {target} by {me.name} ({request.id[:8]}); next, by whom it concerns:",
        f"  {accept}",
        f"  ansible-playbook playbooks/approve.yml {where(action, target)} {release}",
        f"  ansible-playbook playbooks/deploy.yml {where(action, target)} {release}",
    ]
