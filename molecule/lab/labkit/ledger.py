"""The ledger of a lab whose storage forgets: whoever knew the old one has to forget it too, or would cry tampering."""

from __future__ import annotations

import docker

from labkit.hosts import host_places, run_in
from labkit.settings import AWS, LEDGER_BUCKET, Lab

# Statements that wait in a spool were never in the ledger that is gone: they stay.
_FORGET = "rm -fv /var/lib/seisei/ledger_head.json"


def forget_old_ledger(client: docker.DockerClient, lab: Lab, *, role_host: bool) -> list[str]:
    """After the ledger's bucket was made anew, forget what hosts and this checkout know of the one before.

    Returns who had to forget. A real bucket outlives its restarts, so no playbook knows of this: a real ledger that is
    gone is an incident.
    """
    forgot = []
    for copy in sorted((lab.root / "build" / "ledger").glob(f"{lab.address(AWS.last)}-{LEDGER_BUCKET}*.jsonl")):
        copy.unlink()
        forgot.append(str(copy.relative_to(lab.root)))
    for place in host_places(role_host=role_host):
        _, said = run_in(client.containers.get(lab.container(place.part)), "sh", "-c", _FORGET)
        forgot += [place.part] if said else []
    return forgot
