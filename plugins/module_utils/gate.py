"""The host's own judgement of a release: by its own policy and signers, whatever the controller thinks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .definition import proven
from .gateway.host_gate import FOLDER, HostGate, announce, read_gate, use
from .gateway.host_spool import HostSpool, with_head
from .gateway.host_state import ROOT
from .gateway.signatures import check
from .model.errors import InvalidInput, OpsError
from .model.gate import Gate, Subject
from .model.stack import parse_tree
from .model.statement import BREAK_GLASS, REQUESTED, signed_from
from .plan.gate import DEPLOY, Decision, Missing, judge, told_open
from .plan.ledger import missed_in

_WHERE = "gate of this host"


@dataclass(frozen=True)
class Admitted:
    """What let a release through here.

    ``allowed`` has whose signature asked for it (``requester``) and the ids of the statements that let it through
    (``relied_on``), for what is told of the release; it is empty where nothing is asked. ``entry`` is the stack with a
    ``stack_file`` that this host can answer for, empty where it cannot. ``warnings`` are lines.
    """

    entry: Mapping[str, Any]
    allowed: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def pass_gate(
    given: Mapping[str, Any], release: str, folder: Path = FOLDER, state: Path = ROOT, *, what: str = DEPLOY
) -> Admitted:
    """Let a release pass that the controller sent, or a migration to it, or raise with everything that it lacks.

    ``given`` are the arguments of a doorway: ``entry``, ``environment_name`` and ``gate``, which has ``required``,
    ``source`` (the stack file's tree before its names were resolved), ``variables``, ``requester``, ``statements`` and
    ``ledger`` (the newest entries' hashes).

    :raises OpsError: when this host has no gate and ought to, belongs elsewhere, or was sent another stack than said.
    :raises InvalidInput: naming everything that is missing.
    """
    sent = given.get("gate") or {}
    ours = _gate_for(str(given["environment_name"]), sent, folder)
    entry = proven(given["entry"], sent)
    if not ours.gate.required:
        return Admitted(entry)
    now = datetime.now(UTC)
    subject = _subject(entry, release)
    signed = [signed_from(one) for one in sent.get("statements", ())]
    requester = str(sent.get("requester", ""))
    statements = check(signed, ours.gate, now)
    decision = judge(subject, ours.environment, statements, requester, now, ours.gate, action=what)
    if not decision.allowed:
        raise refusal(decision, where=_WHERE)
    spool = HostSpool(state)
    behind = _behind(sent.get("ledger") or {}, spool)
    glass = [one for one in decision.relied_on if one.kind == BREAK_GLASS]
    if behind and not glass:
        raise behind
    asked = [one for one in decision.relied_on if one.kind in (BREAK_GLASS, REQUESTED)]
    for request in asked:
        use(request.id, str(given.get("transaction") or ""), state)
    texts = [one.text() for one in asked]
    for one in signed:
        # Whoever asks cannot keep it from the ledger, which passes over what it has already.
        if one.text in texts and not check([one], ours.gate, now)[0].fault:
            spool.add(one)
    warnings = (f"  warning: {behind}",) if behind else ()
    for text in (*warnings, *(with_head(told_open(one), state) for one in glass)):
        announce(text)
    return Admitted(entry, {"requester": requester, "relied_on": [said.id for said in decision.relied_on]}, warnings)


def _behind(tail: Mapping[str, Any], spool: HostSpool) -> OpsError | None:
    """Why the ledger that a release was judged by is not the one this host knows: something may be taken back there."""
    try:
        missed = missed_in(tail, spool.head())
    except OpsError as error:
        return error
    if not missed:
        return None
    return OpsError(
        missed,
        where=_WHERE,
        do="run the same again, since somebody may have written meanwhile; when it stays so, tell_ledger.yml brings the"
        " host's knowledge up to date, and verify_ledger.yml says what was changed",
    )


def _gate_for(environment: str, sent: Mapping[str, Any], folder: Path) -> HostGate:
    """The gate of this host for a run; one that asks nothing where none was placed and none is asked for."""
    ours = read_gate(folder)
    if ours is None:
        if sent.get("required"):
            raise OpsError(
                "its environment asks for a gate, and none was placed here",
                where=_WHERE,
                do=f"ansible-playbook playbooks/provision.yml --limit {environment}",
            )
        return HostGate(environment, Gate())
    if environment != ours.environment:
        raise OpsError(
            f"it belongs to {ours.environment}, and this run is for {environment}",
            where=_WHERE,
            do="name the right inventory; a host that moved to another environment is provisioned there",
        )
    return ours


def refusal(decision: Decision, *, where: str, commands: Iterable[str] = ()) -> InvalidInput:
    """Everything that a release lacks, as one error; ``commands`` supply it, one for each in order."""
    said = list(commands) or [_command(one) for one in decision.missing]
    return InvalidInput(
        OpsError("; ".join((one.what, *one.because)), where=where, do=do)
        for one, do in zip(decision.missing, said, strict=True)
    )


def _command(missing: Missing) -> str:
    """What supplies it, as far as a host can know: it has no inventory."""
    if not missing.playbook:
        return missing.do
    inputs = " ".join(f"-e {name}={value}" for name, value in missing.inputs.items())
    command = f"ansible-playbook playbooks/{missing.playbook}.yml --limit {missing.environment} {inputs}"
    return f"{command}; when the controller let it pass, this host's policy is older: provision.yml brings it"


def _subject(entry: Mapping[str, Any], release: str) -> Subject:
    """The release as it would run here. Its definition is worked out from what will run, not taken from who asks."""
    if not entry["stack_file"]:
        raise OpsError(
            "nothing that was signed came with the release, and this environment asks for it",
            where=_WHERE,
            do="deploy from a checkout that is up to date; where the policy was changed, provision.yml brings it here",
        )
    stack = parse_tree(entry["tree"])
    digests = {service: str(entry["digests"].get(service, "")) for service in stack.ops.releases}
    return Subject(stack.name, release, digests, entry["stack_file"])
