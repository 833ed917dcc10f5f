"""Asking every part whether it does its work, the way its users will ask."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import docker
import psycopg
import requests

from labkit import hosts
from labkit.containers import find_containers
from labkit.settings import ACME, AWS, DATABASE_ADMIN, DATABASES, DNS, REGISTRY, REGISTRY_USER, Lab, Place


@dataclass(frozen=True)
class Health:
    """One part: where it is, and what is wrong with it (empty: nothing)."""

    part: str
    container: str
    address: str
    complaint: str

    def as_dict(self) -> dict[str, str | bool]:
        """For JSON output."""
        return {
            "part": self.part,
            "container": self.container,
            "address": self.address,
            "healthy": not self.complaint,
            "complaint": self.complaint,
        }


def probes(
    client: docker.DockerClient, lab: Lab, secrets: dict[str, str], *, role_host: bool
) -> dict[Place, Callable[[], str]]:
    """A question to each part; the answer is its complaint, empty when it is well."""
    ca = str(lab.build / "ca" / "ca.pem")
    questions: dict[Place, Callable[[], str]] = {
        DNS: lambda: _told(lambda: ask_dns(lab, "production-1.lab")),
        REGISTRY: lambda: _told(
            lambda: _ask_https(lab, REGISTRY, "/v2/", ca, (REGISTRY_USER, secrets["staging/registry-password"]))
        ),
        AWS: lambda: _told(lambda: _ask_https(lab, AWS, "/moto-api/data.json", ca)),
        ACME: lambda: _told(lambda: _ask_https(lab, ACME, "/dir", ca)),
    }
    for environment, place in DATABASES.items():
        password = secrets[f"{environment}/postgres-admin-password"]
        questions[place] = _told_later(_ask_database, lab, place, ca, password)
    for place in hosts.host_places(role_host=role_host):
        questions[place] = _told_later(_ask_host, client, lab, place)
    return questions


def examine(client: docker.DockerClient, lab: Lab, secrets: dict[str, str], *, role_host: bool) -> list[Health]:
    """The health of every part, asked side by side. Only what runs is asked: nobody else may have its address."""
    states = {container.name: container.status for container in find_containers(client, lab)}
    questions = {
        place: probe if states.get(lab.container(place.part)) == "running" else _absent(states, lab, place)
        for place, probe in probes(client, lab, secrets, role_host=role_host).items()
    }
    with ThreadPoolExecutor(len(questions)) as pool:
        complaints = pool.map(lambda question: question(), questions.values())
        return [
            Health(place.part, lab.container(place.part), f"{lab.address(place.last)}:{place.port}", complaint)
            for place, complaint in zip(questions, complaints, strict=True)
        ]


def _absent(states: dict[str | None, str], lab: Lab, place: Place) -> Callable[[], str]:
    state = states.get(lab.container(place.part))
    return lambda: f"the container is {state}" if state else "it is not there; run `make lab`"


def ask_dns(lab: Lab, name: str) -> str:
    """Resolve ``name`` at the lab's DNS; return its address. Raises OSError when there is no answer."""
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"
    query = struct.pack(">6H", 0x5E15, 0x0100, 1, 0, 0, 0) + question + struct.pack(">2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(2)
        channel.connect((lab.address(DNS.last), DNS.port))
        channel.send(query)
        answer = channel.recv(512)
    flags, _, count = struct.unpack(">3H", answer[2:8])
    if flags & 0xF or not count:
        raise OSError(f"no address for {name}")
    return socket.inet_ntoa(answer[-4:])


def _told(question: Callable[[], object]) -> str:
    try:
        question()
    except (OSError, requests.RequestException, psycopg.Error) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return ""


def _told_later[**P](question: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Callable[[], str]:
    return lambda: _told(lambda: question(*args, **kwargs))


def _ask_https(lab: Lab, place: Place, path: str, ca: str, login: tuple[str, str] | None = None) -> None:
    url = f"https://{lab.address(place.last)}:{place.port}{path}"
    requests.get(url, verify=ca, auth=login, timeout=5).raise_for_status()


def _ask_database(lab: Lab, place: Place, ca: str, password: str) -> None:
    with psycopg.connect(
        host=lab.address(place.last),
        port=place.port,
        dbname="postgres",
        user=DATABASE_ADMIN,
        password=password,
        sslmode="verify-full",
        sslrootcert=ca,
        connect_timeout=5,
    ) as connection:
        connection.execute("SELECT 1")


def _ask_host(client: docker.DockerClient, lab: Lab, place: Place) -> None:
    complaint = hosts.boot_complaint(client, lab.container(place.part))
    if complaint:
        raise OSError(complaint)
    with socket.create_connection((lab.address(place.last), place.port), timeout=5) as channel:
        channel.settimeout(5)
        if not channel.recv(64).startswith(b"SSH-2.0-"):
            raise OSError("no SSH server answers")
