"""A port that the engine publishes is as closed to a neighbour as any other, unless the firewall's list opens it."""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from tests.lab.procedure_parts import ADDRESSES, on_host, play

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

HOST, NEIGHBOUR = "staging-1", "production-1"
PORT, INNER, HIDDEN_PORT = 18080, 6379, 8080
OPEN_IN_LIST = 443


def answers(address: str, port: int, *, asked_from: str, within: str = "") -> bool:
    """Whether a program on a host, or within a container of it, gets a connection.

    Where packets are dropped, nobody says no: it waits for 2 s.
    """
    attempt = f"try: socket.create_connection(({address!r}, {port}), 2); print('yes')"
    program = f"import socket\n{attempt}\nexcept OSError: print('no')"
    prefix = f"docker exec {within} " if within else ""
    return on_host(f"{prefix}python3 -c {shlex.quote(program)}", asked_from).strip() == "yes"


@pytest.fixture(scope="module", autouse=True)
def published() -> Iterator[dict[str, Any]]:
    """A server whose port is published on all addresses of the host, as the engine does by default."""
    image = on_host("docker images --quiet --filter reference='*/redis' | head -n 1", HOST).strip()
    name = f"probe-{secrets.token_hex(4)}"
    server = "redis-server --protected-mode no --save ''"
    on_host(f"docker run --detach --name {name} --publish {PORT}:{INNER} --entrypoint '' {image} {server}", HOST)
    try:
        wait = f"until docker exec {name} redis-cli ping; do sleep 0.1; done"
        on_host(f"timeout 20 sh -c {shlex.quote(wait)}", HOST)
        found: dict[str, Any] = json.loads(on_host(f"docker inspect {name}", HOST))[0]
        yield found
    finally:
        on_host(f"docker rm --force {name}", HOST)


@pytest.fixture(scope="module")
def hidden() -> dict[str, Any]:
    """A container of a stack that publishes nothing."""
    (name,) = on_host("docker ps --quiet --filter label=ops.seisei.stack=www", HOST).split()
    found: dict[str, Any] = json.loads(on_host(f"docker inspect {name}", HOST))[0]
    return found


@pytest.fixture
def inner_address(hidden: dict[str, Any]) -> Iterator[str]:
    """Its own address, with a way to it for the neighbour, who takes the host for a router."""
    address: str = hidden["NetworkSettings"]["Networks"]["edge"]["IPAddress"]
    on_host(f"ip route add {address}/32 via {ADDRESSES[HOST]}", NEIGHBOUR)
    yield address
    on_host(f"ip route del {address}/32", NEIGHBOUR)


def seen_by_neighbour(inner_address: str) -> dict[str, bool]:
    return {
        "a published port": answers(ADDRESSES[HOST], PORT, asked_from=NEIGHBOUR),
        "a container that publishes nothing": answers(inner_address, HIDDEN_PORT, asked_from=NEIGHBOUR),
        "the edge": answers(ADDRESSES[HOST], OPEN_IN_LIST, asked_from=NEIGHBOUR),
    }


CLOSED = {"a published port": False, "a container that publishes nothing": False, "the edge": True}


def test_a_neighbour_reaches_what_the_list_opens_and_no_container_beside(inner_address: str) -> None:
    assert seen_by_neighbour(inner_address) == CLOSED


def test_programs_of_the_host_and_containers_are_not_hindered(
    published: dict[str, Any], hidden: dict[str, Any]
) -> None:
    assert answers("127.0.0.1", PORT, asked_from=HOST)
    assert answers(published["NetworkSettings"]["IPAddress"], INNER, asked_from=HOST)
    assert answers(ADDRESSES[NEIGHBOUR], OPEN_IN_LIST, asked_from=HOST, within=hidden["Id"]), "a container's way out"


def test_without_the_chain_all_is_open_and_provisioning_sees_and_mends_it(inner_address: str) -> None:
    on_host("nft delete chain inet seisei forward", HOST)
    try:
        assert set(seen_by_neighbour(inner_address).values()) == {True}, "nothing was hindered by the chain"
        told = play("provision", "--check", "--limit", HOST)
        assert "reload seisei-firewall.service: its effect is gone or altered" in told.text
        done = play("provision", "--limit", HOST)
        assert (done.code, done.changed) == (0, 1), done.text
        assert seen_by_neighbour(inner_address) == CLOSED
    finally:
        on_host("systemctl reload seisei-firewall.service", HOST)
