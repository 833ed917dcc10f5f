"""Every container of both hosts is hardened, save where its stack file names what it loosens."""

from __future__ import annotations

import json

import pytest

from plugins.module_utils.plan.hardening import loosened

from .procedure_parts import ADDRESSES, on_host, play

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("converged")]

# The edge is who outsiders reach: inventories/stacks/edge.yml publishes its two ports on purpose.
NAMED = {
    "edge-traefik": [
        "5.8 it takes port 80 of the host",
        "5.8 it takes port 443 of the host",
        "5.14 port 80 is published on every interface",
        "5.14 port 443 is published on every interface",
    ]
}
FEWEST = 9  # edge, five released services, two databases and a cache


@pytest.mark.parametrize("host", ADDRESSES)
def test_only_what_a_stack_file_names_is_loosened(host: str) -> None:
    told = json.loads(on_host("docker inspect $(docker ps --all --quiet --filter label=ops.seisei.stack)", host))
    assert len(told) >= FEWEST
    findings = {one["Name"].lstrip("/"): [str(finding) for finding in loosened(one)] for one in told}
    assert {name: found for name, found in findings.items() if found} == NAMED


@pytest.mark.parametrize("host", ADDRESSES)
def test_status_lists_what_is_loosened(host: str) -> None:
    rows = {row["stack"]: row for row in play("status", "--limit", host).told(host)["rows"]}
    assert {name: row["loosened"] for name, row in rows.items() if row["loosened"]} == {"edge": "5.8, 5.14"}
    told = [f"{found['container']}: {found['item']} {found['what']}" for found in rows["edge"]["findings"]]
    assert told == [f"{name}: {finding}" for name, found in NAMED.items() for finding in found]


def test_a_container_made_by_hand_is_seen_to_be_loose() -> None:
    """The same reading of the same engine, on a container that nobody hardened."""
    host = next(iter(ADDRESSES))
    make = "docker create --publish 18081:6379 --volume /run/docker.sock:/x --pid host --cap-add KILL"
    image = "$(docker images --quiet --filter reference='*/redis' | head -n 1)"
    name = on_host(f"{make} {image}", host).strip()
    try:
        (one,) = json.loads(on_host(f"docker inspect {name}", host))
    finally:
        on_host(f"docker rm {name}", host)
    items = {finding.item for finding in loosened(one)}
    assert items >= {"5.4", "5.11", "5.12", "5.13", "5.14", "5.15", "5.16", "5.26", "5.29", "5.30", "5.32"}
