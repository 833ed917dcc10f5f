"""A plan that was saved to be applied later: what the host was like then, and what of it is other now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model.container import ObservedContainer, fingerprint
from ..model.host import Observed
from .settings import settings_of
from .steps import Plan


def host_marks(observed: Observed) -> dict[str, str]:
    """A mark for each thing of the estate on a host: equal marks, equal things.

    Left out is what changes by itself: health, and which images lie there unused.
    """
    return {
        **{f"container {name}": _container_mark(found, observed) for name, found in observed.containers.items()},
        **{f"network {name}": str(found.internal) for name, found in observed.networks.items() if found.stack},
        **{f"volume {name}": owner for name, owner in observed.volumes.items() if owner},
        **{f"config {path}": str(intact) for path, intact in observed.configs.items()},
        **{f"secret {stack}/{name}": "" for stack, names in observed.secrets.items() for name in names},
        **{f"route {stack}": fingerprint(config) for stack, config in observed.routes.items()},
        **{f"live release of {stack}": str(release.number) for stack, release in observed.live.items()},
        **{f"standby of {stack}": str(release.number) for stack, release in observed.standby.items()},
    }


def _container_mark(found: ObservedContainer, observed: Observed) -> str:
    networks = {name: sorted(aliases) for name, aliases in found.networks.items()}
    return fingerprint([found.running, networks, settings_of(found.told, found.image, observed.daemon)])


def since_saved(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What became of a host's things since their marks were taken, one sentence each."""
    return [
        f"{name} {'appeared' if name not in before else 'is gone' if name not in now else 'changed'}"
        for name in sorted(before.keys() | now.keys())
        if before.get(name) != now.get(name)
    ]


def other_steps(saved: list[Mapping[str, Any]], now: Plan) -> list[str]:
    """What would be done now and was not planned, and the other way round. Waiting is not doing."""
    before = {f"{step['action']} {step['target']}" for step in saved if step["action"] != "await"}
    after = {step.id for step in now.steps if step.action != "await"}
    extra = [f"{name} is needed now" for name in sorted(after - before)]
    return [*extra, *(f"{name} is not needed any more" for name in sorted(before - after))]
