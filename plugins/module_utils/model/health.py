"""How a service's health is asked for, and in which state those it waits for have to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .document import Node
from .refusals import DEPENDENCY_REFUSALS
from .vocabulary import Key, Keys
from .words import at_least

NONE = ("NONE",)
STARTED, HEALTHY, COMPLETED = "service_started", "service_healthy", "service_completed_successfully"
CONDITIONS = (STARTED, HEALTHY, COMPLETED)


@dataclass(frozen=True)
class Healthcheck:
    """Durations in seconds. A test of ``NONE`` alone: switched off by name."""

    test: tuple[str, ...]
    interval: float = 30
    timeout: float = 30
    retries: int = 3
    start_period: float = 0
    start_interval: float = 5


def _test(node: Node) -> tuple[str, ...]:
    if node.value == "NONE":
        return NONE
    test = ("CMD-SHELL", node.text()) if isinstance(node.value, str) else node.texts()
    if test == NONE:
        return test
    if test[:1] not in (("CMD",), ("CMD-SHELL",)):
        node.reject("a health check's test starts with CMD, CMD-SHELL or NONE")
    elif not any(test[1:]):
        node.reject("a health check's test names no command", "add it, or say disable: true")
    return test


def _required(node: Node) -> bool:
    if not node.boolean(True):
        node.reject("what is waited for is never optional", "write required: true, or take the dependency away")
    return True


# The engine refuses times below a millisecond.
_time = at_least(0.001, Node.seconds, "1ms")
HEALTH_KEYS = Keys(
    Key("test", "text | list", "The command; a text is run by the image's shell, NONE switches the check off", _test,
        note="Compose would run the text NONE as a command."),
    Key("interval", "duration", "Time between two checks", _time, default="30s"),
    Key("timeout", "duration", "After which a check has failed", _time, default="30s"),
    Key("retries", "number", "Failures in a row that make it unhealthy", lambda node: node.integer(3, least=1),
        default="3"),
    Key("start_period", "duration", "Time to start in, when failures do not count", Node.seconds, default="0s"),
    Key("start_interval", "duration", "Time between two checks meanwhile", _time, default="5s"),
    Key("disable", "true | false", "No health check, by name", Node.boolean, default="false"),
)  # fmt: skip
DEPENDENCY_KEYS = Keys(
    Key("condition", " | ".join(CONDITIONS), "What it waits for", lambda node: node.choice(CONDITIONS),
        default=STARTED),
    Key("required", "true", "Accepted as true only", _required, default="true"),
    refused=DEPENDENCY_REFUSALS,
)  # fmt: skip


def healthcheck(node: Node) -> Healthcheck | None:
    """Read ``healthcheck``. Errors are collected in the node."""
    found = HEALTH_KEYS.read(node)
    if found.pop("disable", False):
        if found.get("test", NONE) != NONE:
            node.reject("a health check is both declared and disabled", "keep one of test and disable: true")
        return Healthcheck(NONE)
    if "test" not in found:
        if not isinstance(node.value, Mapping) or "test" not in node.value or node.value["test"] is None:
            node.reject("a health check needs a test")
        return None
    return Healthcheck(**found)


def depends_on(node: Node) -> dict[str, str]:
    """Read ``depends_on``, a list or a mapping: the condition for each service."""
    if isinstance(node.value, Mapping):
        read = {name: DEPENDENCY_KEYS.read(value) for name, value in node.mapping().items()}
        return {name: entry.get("condition", STARTED) for name, entry in read.items()}
    return dict.fromkeys(node.texts(), STARTED)
