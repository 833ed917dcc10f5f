"""The certificate authority that forgets: pebble is another one after each start, so old certificates have to go."""

from __future__ import annotations

import docker
import requests

from labkit.files import make_private_directory, write_private
from labkit.hosts import host_places, run_in
from labkit.settings import ACME, Lab

_MANAGEMENT_PORT = 15000
_FORGET = (
    "[ -e /var/lib/seisei/edge/acme/acme.json ] || exit 0; rm -f /var/lib/seisei/edge/acme/acme.json; "
    "docker ps -q --filter name=^edge-traefik$ | xargs --no-run-if-empty docker restart"
)


def forget_old_certificates(client: docker.DockerClient, lab: Lab, *, role_host: bool) -> list[str]:
    """When the authority is not the one of the last `up`, let every edge order its certificates anew.

    Returns the hosts that had to forget. A real authority outlives its restarts, so no playbook knows of this.
    """
    address = f"https://{lab.address(ACME.last)}:{_MANAGEMENT_PORT}/roots/0"
    root = requests.get(address, verify=str(lab.build / "ca" / "ca.pem"), timeout=10).text
    known = make_private_directory(lab.build / "acme") / "root.pem"
    if known.exists() and known.read_text() == root:
        return []
    hosts = []
    for place in host_places(role_host=role_host):
        _, said = run_in(client.containers.get(lab.container(place.part)), "sh", "-c", _FORGET)
        hosts += [place.part] if said else []
    write_private(known, root)
    return hosts
