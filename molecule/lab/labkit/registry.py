"""Putting images into the lab's registry, only those it lacks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import docker
import requests

from labkit.progress import Progress
from labkit.settings import PREFIX, REGISTRY, REGISTRY_USER, Lab
from plugins.module_utils.model.errors import OpsError

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def push_images(
    client: docker.DockerClient, lab: Lab, tags: list[str], password: str, progress: Progress
) -> dict[str, str]:
    """Push those of ``tags`` (``seisei-lab/<name>:<tag>``) that the registry lacks. Return digest by reference."""
    session = requests.Session()
    session.auth = (REGISTRY_USER, password)
    endpoint = _loopback(client, lab)

    def ensure(tag: str) -> str:
        config, digest = _held(session, lab, tag)
        if config == client.images.get(tag).id:
            return digest
        short, before = tag.removeprefix(PREFIX), progress.elapsed
        digest = _push(client, tag, f"{endpoint}/{short}", password)
        progress.say(f"registry: pushed {short} in {progress.elapsed - before:.1f} s")
        return digest

    # Layers are compressed on the way, one core each; the engine sends a layer that images share once.
    with ThreadPoolExecutor(3) as pool:
        return dict(zip((tag.removeprefix(PREFIX) for tag in tags), pool.map(ensure, tags), strict=True))


def _held(session: requests.Session, lab: Lab, tag: str) -> tuple[str, str]:
    """Image id and digest the registry holds for ``tag``; empty strings for none."""
    name, version = tag.removeprefix(PREFIX).split(":")
    url = f"https://{lab.address(REGISTRY.last)}:{REGISTRY.port}/v2/{name}/manifests/{version}"
    # Named with the request: REQUESTS_CA_BUNDLE in the environment beats what a session says.
    authority = str(lab.build / "ca" / "ca.pem")
    answer = session.get(url, headers={"Accept": _MANIFEST}, verify=authority, timeout=30)
    if answer.status_code == 404:
        return "", ""
    answer.raise_for_status()
    return answer.json()["config"]["digest"], answer.headers["Docker-Content-Digest"]


def _push(client: docker.DockerClient, tag: str, reference: str, password: str) -> str:
    client.images.get(tag).tag(reference)
    try:
        credentials = {"username": REGISTRY_USER, "password": password}
        for message in client.api.push(reference, auth_config=credentials, stream=True, decode=True):
            if "error" in message:
                raise OpsError(f"image {tag} cannot be pushed ({message['error']})", where="the lab's registry")
            digest = (message.get("aux") or {}).get("Digest")
            if digest:
                return str(digest)
    finally:
        client.images.remove(reference, noprune=True)
    raise OpsError(f"the engine did not say which digest {tag} was pushed as", where="the lab's registry")


def _loopback(client: docker.DockerClient, lab: Lab) -> str:
    ports = client.containers.get(lab.container(REGISTRY.part)).attrs["NetworkSettings"]["Ports"]
    bindings = ports.get(f"{REGISTRY.port}/tcp")
    if not bindings:
        raise OpsError(
            "the registry's loopback port is not published",
            where=lab.container(REGISTRY.part),
            do="run `make lab` again",
        )
    return f"127.0.0.1:{bindings[0]['HostPort']}"
