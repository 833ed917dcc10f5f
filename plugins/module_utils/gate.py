"""The host's own judgement of a release: by its own policy and signers, whatever the controller thinks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .definition import definition_run
from .gateway.host_gate import FOLDER, announce, read_gate
from .gateway.host_spool import HostSpool
from .gateway.host_state import ROOT
from .gateway.signatures import check
from .model.errors import InvalidInput, OpsError
from .model.gate import Subject
from .model.stack import parse_tree
from .model.statement import BREAK_GLASS, signed_from
from .plan.gate import Decision, Missing, judge, told_open

_WHERE = "gate of this host"


def pass_gate(given: Mapping[str, Any], release: str, folder: Path = FOLDER, state: Path = ROOT) -> dict[str, Any]:
    """Let a release pass that the controller sent, or raise with everything that it lacks.

    Returns whose signature asked for it (``requester``) and the ids of the statements that let it through
    (``relied_on``), for what is told of the release; empty where nothing is asked.

    ``given`` are the arguments of a doorway: ``entry``, ``environment_name`` and ``gate``, which has ``required``,
    ``source`` (the stack file's tree before its names were resolved), ``variables``, ``requester`` and ``statements``.

    :raises OpsError: when this host has no gate and ought to, belongs elsewhere, or was sent another stack than said.
    :raises InvalidInput: naming everything that is missing.
    """
    sent, ours = given.get("gate") or {}, read_gate(folder)
    if ours is None:
        if sent.get("required"):
            raise OpsError(
                "its environment asks for a gate, and none was placed here",
                where=_WHERE,
                do=f"ansible-playbook playbooks/provision.yml --limit {given['environment_name']}",
            )
        return {}
    if given["environment_name"] != ours.environment:
        raise OpsError(
            f"it belongs to {ours.environment}, and this run is for {given['environment_name']}",
            where=_WHERE,
            do="name the right inventory; a host that moved to another environment is provisioned there",
        )
    if not ours.gate.required:
        return {}
    now = datetime.now(UTC)
    subject = _subject(given["entry"], release, sent)
    statements = check([signed_from(one) for one in sent.get("statements", ())], ours.gate, now)
    decision = judge(subject, ours.environment, statements, str(sent.get("requester", "")), now, ours.gate)
    if not decision.allowed:
        raise refusal(decision, where=_WHERE)
    for one in sent.get("to_keep", ()):  # the ledger was away: broken glass is not lost for that
        HostSpool(state).add(signed_from(one))
    for said in decision.relied_on:
        if said.kind == BREAK_GLASS:
            announce(told_open(said))
    return {"requester": sent["requester"], "relied_on": [said.id for said in decision.relied_on]}


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


def _subject(entry: Mapping[str, Any], release: str, sent: Mapping[str, Any]) -> Subject:
    """The release as it would run here. Its definition is worked out from what will run, not taken from who asks."""
    source = sent.get("source")
    if not source:
        raise OpsError(
            "nothing that was signed came with the release, and this environment asks for it",
            where=_WHERE,
            do="deploy from a checkout that is up to date; where the policy was changed, provision.yml brings it here",
        )
    definition = definition_run(entry, source, sent.get("variables") or {})
    stack = parse_tree(entry["tree"])
    digests = {service: str(entry["digests"].get(service, "")) for service in stack.ops.releases}
    return Subject(stack.name, release, digests, definition)
