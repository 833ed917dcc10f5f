"""Let go of the images of releases that nobody will return to."""

from __future__ import annotations

from .hands import Host
from .plan.pruning import images_of, kept_images, prunable


def prune_images(host: Host, name: str, keep: int) -> list[str]:
    """Let go of a stack's images beyond those of ``keep`` rollback targets; returns them. Under the stack's lock.

    Raises OpsError, with nothing let go of, when a record of any stack of this host cannot be read: it may name one.
    """
    own = images_of(host.state.records(name))
    others = (images_of(host.state.records(other)) for other in host.state.stacks() if other != name)
    elsewhere = {image for images in others for of_one in images.values() for image in of_one}
    kept = kept_images(host.state.records(name), own, host.state.state(name), host.state.history(name), keep)
    held, used = host.runtime.images()
    return [image for image in prunable(own, kept, used, elsewhere, held) if host.runtime.let_go(image)]
