"""How others change a release: the same images behind the same Traefik, told where to lead by labels on containers.

``recreate`` is what `docker compose up -d` does with a service whose image changed. ``labels`` starts the new container
beside the old, waits until it is healthy, and stops the old one, as docker-rollout does; Traefik's docker provider
follows the labels that both carry.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "molecule" / "lab"))

from labkit.pki import load_or_make_authority

from tests.bench.load import Target
from tests.bench.one_host import ADDRESS, NAME, STACK, WEB_SOCKET, on_host
from tests.lab.procedure_parts import REGISTRY

PLACE, PROJECT = "/srv/peer", "peer"
PORT = 5300
WAYS = ("recreate", "labels")
_LIMIT_S = 60


class Peer:
    """The peer on the throw-away host, from entering to leaving the block; ``releases`` are the tags it may serve."""

    def __init__(self, releases: tuple[str, ...]) -> None:
        self._releases = releases
        self.authority = ""

    def __enter__(self) -> Peer:
        on_host("DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; docker compose version >/dev/null 2>&1"
                " || { apt-get -qq update && apt-get -qq install -y docker-compose >/dev/null; }")  # fmt: skip
        self._name_images()
        self._place_certificate()
        on_host(f"cat > {PLACE}/compose.yml", json.dumps(project()))
        on_host(f"cat > {PLACE}/tls/tls.yml", json.dumps(_CERTIFICATE))
        self._compose(self._releases[0], "up -d --wait")
        return self

    def __exit__(self, *_exc: object) -> None:
        self._compose(self._releases[0], "down --timeout 5 --volumes")
        names = " ".join(_image(release) for release in self._releases)
        on_host(f"docker image rm {names} {_TRAEFIK} >/dev/null; rm -rf {PLACE}")

    def target(self) -> Target:
        """The peer as visitors see it."""
        return Target(NAME, ADDRESS, self.authority, web_socket=WEB_SOCKET)

    def switch(self, way: str, release: str) -> float:
        """Change to a release; seconds."""
        began = time.monotonic()
        if way == "recreate":
            self._compose(release, "up -d --wait web")
        else:
            self._beside(release)
        return time.monotonic() - began

    def _beside(self, release: str) -> None:
        old = self._compose(release, "ps --quiet web").split()
        self._compose(release, f"up -d --wait --no-recreate --scale web={len(old) + 1} web")
        on_host(f"docker stop {' '.join(old)} && docker rm {' '.join(old)}")

    def _compose(self, release: str, words: str) -> str:
        return on_host(f"cd {PLACE} && RELEASE={_image(release)} timeout {_LIMIT_S} docker compose {words} 2>&1")

    def _name_images(self) -> None:
        """Give the images that our own releases brought here, by digest, names that Compose can use."""
        found = json.loads(on_host("docker image inspect $(docker image ls --quiet) 2>/dev/null"))
        traefik = next(one["Id"] for one in found if any(f"{REGISTRY}/traefik@" in name for name in one["RepoDigests"]))
        on_host(f"docker image tag {traefik} {_TRAEFIK}")
        for release in self._releases:
            titled = {"org.opencontainers.image.title": STACK, "org.opencontainers.image.version": release}
            image = next(one["Id"] for one in found if titled.items() <= (one["Config"]["Labels"] or {}).items())
            on_host(f"docker image tag {image} {_image(release)}")

    def _place_certificate(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            issuer = load_or_make_authority(Path(folder))
            chain, key = issuer.issue((NAME,), ADDRESS)
            self.authority = (Path(folder) / "ca.pem").read_text(encoding="utf-8")
        for name, text in (("chain", chain), ("key", key)):
            on_host(f"install -d {PLACE}/tls && cat > {PLACE}/tls/{name}.pem", text)


def _image(release: str) -> str:
    return f"{PROJECT}/{STACK}:{release}"


_TRAEFIK = f"{PROJECT}/traefik:3.7"
_CERTIFICATE = {
    "tls": {"stores": {"default": {"defaultCertificate": {"certFile": "/tls/chain.pem", "keyFile": "/tls/key.pem"}}}}
}


def project() -> dict[str, Any]:
    """The Compose project; ``$RELEASE`` is the image of the stack."""
    rule = f"Host(`{NAME}`)"
    return {
        "name": PROJECT,
        "services": {
            "edge": {
                "image": _TRAEFIK,
                "command": [
                    "--global.checknewversion=false", "--log.level=INFO",
                    "--entrypoints.websecure.address=:8443", "--ping=true",
                    "--providers.docker=true", "--providers.docker.exposedbydefault=false",
                    "--providers.file.directory=/tls",
                    "--accesslog=true", "--accesslog.format=json", "--accesslog.bufferingsize=100",
                ],
                "ports": ["0.0.0.0:443:8443"],
                "volumes": ["/var/run/docker.sock:/var/run/docker.sock:ro", f"{PLACE}/tls:/tls:ro"],
            },
            "web": {
                "image": "${RELEASE}",
                "labels": {
                    "traefik.enable": "true",
                    "traefik.http.routers.web.rule": rule,
                    "traefik.http.routers.web.entrypoints": "websecure",
                    "traefik.http.routers.web.tls": "true",
                    "traefik.http.services.web.loadbalancer.server.port": str(PORT),
                },
                "healthcheck": {
                    "test": ["CMD", "python3", "-m", "standin", "healthcheck"],
                    "interval": "5s", "timeout": "5s", "retries": 3, "start_period": "30s", "start_interval": "500ms",
                },
                "stop_grace_period": "35s",
                "read_only": True,
                "tmpfs": ["/tmp"],
            },
        },
    }  # fmt: skip
