"""What the edge is to run for a release on this host, with the old release behind it where that still answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .hands import Host
from .model.release import Release
from .model.stack import parse_tree
from .model.switching import RUNNING, Asset
from .plan.edge import compile_stack
from .plan.edge_assets import with_old_assets


def edge_config(
    host: Host, release: Release, behind: Release | None = None, *, assets: Sequence[Asset] | None = None
) -> dict[str, Any]:
    """The configuration that leads to a release; ``behind`` answers for old assets (by default all that it declares).

    A release that waits otherwise than running has nothing to answer with, and is left out.
    """
    stack = parse_tree(release.tree, f"release {release.number}")
    addresses = host.runtime.addresses(release)
    config = compile_stack(stack.name, stack.ops.routes, addresses, cert_resolver=host.cert_resolver)
    if behind is None:
        return config
    old = parse_tree(behind.tree, f"release {behind.number}")
    kept = stack.ops.assets if assets is None else assets
    if not kept or old.ops.standby != RUNNING:
        return config
    return with_old_assets(
        config,
        stack.name,
        stack.ops.routes,
        kept,
        old.ops.routes,
        host.runtime.addresses(behind),
        cert_resolver=host.cert_resolver,
    )
