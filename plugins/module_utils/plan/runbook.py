"""Decide whether a request fits its runbook, and say what is about to happen."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..model.document import Node, nearest
from ..model.errors import InvalidInput, OpsError
from ..model.runbook import Runbook, Value
from .table import pad

# Settings of the connection belong to Ansible; everything else that is said with -e is meant for the runbook.
_FOREIGN = "ansible_"
# Where Ansible keeps words of -e that it could not assign to a name.
_LEFT_OVER = "_raw_params"


@dataclass(frozen=True)
class Request:
    """What was asked for, checked: typed ``inputs`` with defaults, the hosts and the environments they belong to."""

    runbook: Runbook
    inputs: dict[str, Value]
    hosts: tuple[str, ...]
    environments: tuple[str, ...]

    @property
    def environment(self) -> str:
        """The one environment, or several joined by a comma, or an empty string for hosts outside of any."""
        return ", ".join(self.environments)


def read_request(
    runbook: Runbook, given: Mapping[str, Any], stacks: Iterable[str], environments: Mapping[str, str]
) -> Request:
    """Check what the operator gave (``-e``) and the hosts of the run with their environment ("" for none).

    :raises InvalidInput: naming everything that is wrong at once.
    """
    errors: list[OpsError] = []
    inputs = _read_inputs(runbook, given, tuple(sorted(stacks)), errors)
    errors.extend(_scope_errors(runbook, environments))
    if errors:
        raise InvalidInput(errors)
    return Request(runbook, inputs, tuple(environments), tuple(sorted(set(environments.values()) - {""})))


def _read_inputs(
    runbook: Runbook, given: Mapping[str, Any], stacks: tuple[str, ...], errors: list[OpsError]
) -> dict[str, Value]:
    source = Node({}, "-e", errors=errors)
    for name in given:
        if name == _LEFT_OVER:
            errors.append(_left_over(str(given[name])))
        elif name not in runbook.inputs and not name.startswith(_FOREIGN):
            errors.append(_unknown(runbook, name))
    values: dict[str, Value] = {}
    for name, wanted in runbook.inputs.items():
        node = source.child(name, given.get(name))
        before = len(errors)
        values[name] = wanted.default if node.value is None else wanted.read(node)
        if wanted.required and node.value in (None, ""):
            node.reject(f"a value is missing ({wanted.help})", f"add -e {name}={wanted.sample}")
        elif wanted.type == "stack" and len(errors) == before and values[name] is not None:
            _check_stack(node, str(values[name]), stacks)
    return values


def _unknown(runbook: Runbook, name: str) -> OpsError:
    known = sorted(runbook.inputs)
    guess = nearest(name, known)
    accepted = f"accepted: {', '.join(known)}" if known else "leave it out: this runbook takes no inputs"
    return OpsError(
        f"'{name}' is not an input of {runbook.name}",
        where=f"-e {name}",
        do=f"did you mean '{guess}'? ({accepted})" if guess else accepted,
    )


def _left_over(words: str) -> OpsError:
    return OpsError(
        f"'{words}' belongs to no input: a text with blanks needs a second pair of quotes",
        where="-e",
        do="""write it like -e 'reason="two words"'""",
    )


def _check_stack(node: Node, stack: str, stacks: tuple[str, ...]) -> None:
    if stack in stacks:
        return
    guess = nearest(stack, stacks)
    known = f"choose one of {', '.join(stacks)}" if stacks else "write inventories/stacks/<name>.yml first"
    node.reject(f"stack '{stack}' does not exist", f"did you mean '{guess}'? ({known})" if guess else known)


def _scope_errors(runbook: Runbook, environments: Mapping[str, str]) -> list[OpsError]:
    """How the run has to be narrowed before it may start."""
    if runbook.scope == "any":
        return []
    hosts = sorted(environments)
    outside = [host for host in hosts if not environments[host]]
    if outside:
        return [
            OpsError(
                f"{runbook.name} works inside an environment, and {', '.join(outside)} belongs to none",
                where="--limit",
                do="name an environment, or give the host's group an ops_environment",
            )
        ]
    if runbook.scope == "one_host" and len(hosts) != 1:
        return [_too_wide(runbook, "host", hosts)]
    found = sorted(set(environments.values()))
    return [] if len(found) == 1 else [_too_wide(runbook, "environment", found)]


def _too_wide(runbook: Runbook, kind: str, found: list[str]) -> OpsError:
    return OpsError(
        f"{runbook.name} works on one {kind} at a time, and this run has {len(found)}: {', '.join(found)}",
        where="--limit",
        do="add " + " or ".join(f"--limit {name}" for name in found),
    )


def command(runbook: Runbook, inputs: Mapping[str, Value], *, limit: str = "", inventories: Iterable[str] = ()) -> str:
    """The command line that asks for ``runbook``: known inputs filled in, unknown required ones as samples."""
    words = ["ansible-playbook", f"playbooks/{runbook.name}.yml"]
    for inventory in inventories:
        words += ["-i", shlex.quote(inventory)]
    if limit:
        words += ["--limit", shlex.quote(limit)]
    for name, wanted in runbook.inputs.items():
        if inputs.get(name) is not None:
            words += ["-e", _said(name, inputs[name])]
        elif wanted.required:
            words += ["-e", _said(name, wanted.sample) if " " in wanted.sample else f"{name}={wanted.sample}"]
    return " ".join(words)


def way_back(undo: Runbook, inputs: Mapping[str, Value], *, limit: str = "", inventories: Iterable[str] = ()) -> str:
    """The command line of the runbook ``undo``; a sentence while it asks for what is unknown: examples undo nothing."""
    unknown = [f"the {name}" for name, one in undo.inputs.items() if one.required and inputs.get(name) is None]
    if unknown:
        return f"{undo.name}.yml, which asks for {' and '.join(unknown)} (runbooks/{undo.name}.md)"
    return command(undo, inputs, limit=limit, inventories=inventories)


def _said(name: str, value: Value) -> str:
    """One input for ``-e``, quoted for a shell; as JSON where Ansible would cut ``name=value`` at a blank."""
    text = plain(value)
    if re.search(r"""[\s'"\\=]""", text):
        return shlex.quote(json.dumps({name: text}, ensure_ascii=False))
    return shlex.quote(f"{name}={text}")


def header(request: Request, *, undo: str, rehearsal: bool) -> list[str]:
    """What the operator reads before anything happens. ``undo`` is a command or a sentence."""
    runbook = request.runbook
    title = f"{runbook.title} · {runbook.title_zh}" if runbook.title_zh else runbook.title
    hosts = ", ".join(request.hosts)
    facts = {
        "where": f"{request.environment} ({hosts})" if request.environment else hosts,
        **{name: plain(value) for name, value in request.inputs.items() if value is not None},
        "changes": runbook.changes,
        "risk": f"{runbook.risk}, {runbook.risk_reason}",
        "undo": undo,
        "expected": f"about {duration(runbook.expected)}",
    }
    lines = [title, *aligned(facts)]
    if not rehearsal:
        return lines
    before = ["Before the real run, make sure that:", *(f"  - {line}" for line in runbook.preconditions)]
    return [*lines, "Rehearsal (--check): nothing is changed.", *(before if runbook.preconditions else [])]


def aligned(facts: Mapping[str, str]) -> list[str]:
    """``name  value`` lines, the values below each other."""
    width = max(len(name) for name in facts)
    return [f"  {pad(name, width)}  {text}" for name, text in facts.items()]


def duration(seconds: float) -> str:
    """``90`` as ``1m30s``, the way it is written in a stack file or on a page."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    minutes, rest = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount) or "0s"


def plain(value: Value) -> str:
    """A value the way it is said with -e."""
    return str(value).lower() if isinstance(value, bool) else str(value)
