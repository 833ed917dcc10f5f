"""What a release runs beside, told with its end: which images its accessories have, and where its schema stands."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from .gateway.schema_notes import noted_schemas
from .hands import Host
from .model.container import ObservedContainer
from .model.errors import OpsError
from .model.release import Release
from .model.stack import parse_tree


def told_around(host: Host, release: Release) -> dict[str, Any]:
    """``accessories`` with the digest of each, and ``schema_head``, the newest migration that is applied.

    What cannot be found out is left away: it is no reason not to tell the rest.
    """
    found: dict[str, Any] = {}
    with suppress(OpsError):
        if accessories := _accessories(host, release):
            found["accessories"] = accessories
    with suppress(OpsError):
        _, applied = noted_schemas(host.state, release.stack).get(release.number, (frozenset(), frozenset()))
        if applied:
            found["schema_head"] = max(applied)
    return found


def _accessories(host: Host, release: Release) -> dict[str, str]:
    names = {service.name for service in parse_tree(release.tree, f"record {release.number}").accessories}
    found = host.engine.containers(stack=release.stack).values()
    return {one.service: digest_of(one) for one in found if one.service in names and not one.number}


def digest_of(container: ObservedContainer) -> str:
    """The digest of the image that a container was made of; its id where no registry knows it."""
    asked = str(container.told.get("Config", {}).get("Image", ""))
    if "@" in asked:
        return asked.split("@")[1]
    repository = asked.rsplit(":", 1)[0] if ":" in asked.rsplit("/", 1)[-1] else asked
    digests = [str(one).split("@") for one in container.image.get("RepoDigests") or ()]
    ours = [digest for name, digest in digests if name == repository] or [digest for _, digest in digests]
    return ours[0] if ours else str(container.told.get("Image", ""))
