"""What the role stacks achieves for those who come to the host: visitors, other stacks, and nobody else."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from testinfra.host import Host

ADDRESS = "10.213.0.13"
ENVIRONMENT = "molecule/role_environment.yml"
RELEASE = "sha-19b9b98"
STACKS = {
    "acme.erp.role-1.lab": "odoo18",
    "globex.erp.role-1.lab": "odoo18",
    "biznexus.role-1.lab": "biznexus",
    "langbot.role-1.lab": "langbot",
    "www.role-1.lab": "www",
}

Visit = Callable[..., Any]
Containers = Callable[[Host], list[dict[str, Any]]]


def one_of(host: Host, containers_of: Containers, stack: str, service: str) -> dict[str, Any]:
    """The container of a service of which there is one."""
    labels = {"ops.seisei.stack": stack, "ops.seisei.service": service}
    (found,) = [one for one in containers_of(host) if labels.items() <= one["Config"]["Labels"].items()]
    return found


def inside(host: Host, container: dict[str, Any], program: str) -> Any:
    """What a Python program prints inside a container, read as JSON."""
    return json.loads(host.check_output("docker exec %s python3 -c %s", container["Id"], program))


def connects(address: str, port: int) -> str:
    """A program that tells whether a connection comes about."""
    attempt = f"try: socket.create_connection(({address!r}, {port}), 2); print('true')"
    return f"import socket\n{attempt}\nexcept OSError: print('false')"


@pytest.mark.parametrize(("name", "stack"), STACKS.items())
def test_a_stack_answers_under_its_names_with_its_release(visit: Visit, name: str, stack: str) -> None:
    answer = visit(ADDRESS, name)
    assert answer.status == 200
    assert "<html" in answer.body
    assert (answer.headers["X-Stack"], answer.headers["X-Release"]) == (stack, RELEASE)
    seen = visit(ADDRESS, name, "/echo").document
    assert (seen["host"], seen["scheme"]) == (name, "https")


@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_a_customer_is_shown_what_is_theirs(visit: Visit, tenant: str) -> None:
    shown = visit(ADDRESS, f"{tenant}.erp.role-1.lab", headers={"Accept": "application/json"}).document
    assert shown["tenant"] == tenant


def test_a_session_is_kept_in_the_cache(visit: Visit) -> None:
    name = "acme.erp.role-1.lab"
    login = visit(
        ADDRESS,
        name,
        "/web/login",
        method="POST",
        body=b'{"login": "yuki"}',
        headers={"Content-Type": "application/json"},
    )
    cookie = login.headers["Set-Cookie"]
    assert "Secure" in cookie
    session = visit(ADDRESS, name, "/web/session", headers={"Cookie": cookie.split(";")[0]})
    assert (session.status, session.document["login"]) == (200, "yuki")
    assert visit(ADDRESS, name, "/web/session").status == 401


def test_one_stack_asks_another_under_its_internal_name(visit: Visit) -> None:
    answer = visit(ADDRESS, "biznexus.role-1.lab", "/api/scan", method="POST", body=b"an invoice")
    assert answer.status == 201, answer.body
    assert answer.document["ocr"]["sha256"] == "827810f656d84df0f4cb8d29ea7529fed3b993e61bf553423598d9b5cc97ffc8"


@pytest.mark.parametrize("name", STACKS)
def test_plain_http_is_sent_to_tls(visit: Visit, name: str) -> None:
    answer = visit(ADDRESS, name, "/some/page?a=b", secure=False)
    assert answer.status in (301, 308)
    assert answer.headers["Location"] == f"https://{name}/some/page?a=b"


@pytest.mark.parametrize("name", ["nobody.role-1.lab", "erp.role-1.lab", "www.staging.lab", ADDRESS])
def test_a_name_that_is_not_ours_has_no_page(visit: Visit, name: str) -> None:
    assert visit(ADDRESS, name, verify=False).status == 404


def test_the_internal_name_is_served_inside_alone(host: Host, visit: Visit, containers_of: Containers) -> None:
    fetch = "import urllib.request as r; print(r.urlopen('http://ocr.internal:8081/whoami').read().decode())"
    web = one_of(host, containers_of, "biznexus", "web")
    assert inside(host, web, fetch)["stack"] == "ocr"
    assert visit(ADDRESS, "ocr.internal", "/whoami", verify=False).status == 404


def test_outsiders_reach_ssh_and_the_edge_and_no_other_port(host: Host, containers_of: Containers) -> None:
    inner = {int(port.split("/")[0]) for one in containers_of(host) for port in one["Config"]["ExposedPorts"] or {}}
    assert {5432, 6379, 8069, 8072, 3000, 8000} <= inner
    asked = sorted(inner | {22, 80, 443, 2375, 2376, 8080, 8081, 8082, 8443})

    def is_open(port: int) -> bool:
        try:
            socket.create_connection((ADDRESS, port), 2).close()
        except OSError:
            return False
        return True

    with ThreadPoolExecutor(len(asked)) as pool:
        answers = dict(zip(asked, pool.map(is_open, asked), strict=True))
    assert [port for port, answered in answers.items() if answered] == [22, 80, 443]


def test_a_database_is_reached_by_its_own_stack_alone(host: Host, containers_of: Containers) -> None:
    database = one_of(host, containers_of, "biznexus", "db")
    (network,) = database["NetworkSettings"]["Networks"].values()
    knock = connects(network["IPAddress"], 5432)
    assert inside(host, one_of(host, containers_of, "biznexus", "web"), knock) is True
    others = [one_of(host, containers_of, stack, "web") for stack in ("odoo18", "ocr", "langbot", "www")]
    with ThreadPoolExecutor(len(others)) as pool:
        assert list(pool.map(lambda one: inside(host, one, knock), others)) == [False] * len(others)


@pytest.mark.parametrize("stack", ["odoo18", "ocr"])
def test_the_way_to_the_database_is_sound_in_every_layer(
    host: Host, containers_of: Containers, run_module: Callable[..., dict[str, Any]], stack: str
) -> None:
    """With a server elsewhere over TLS, and with an accessory of the stack's own."""
    found = run_module("seisei.ops.database_diagnosis", variables=ENVIRONMENT, stack=stack)["report"]
    assert found["verdict"] == "healthy", found
    assert found["seen_from"] == f"container {one_of(host, containers_of, stack, 'web')['Name'].lstrip('/')}"
    assert [layer for layer in found["layers"] if layer["state"] != "ok"] == []


def test_a_service_that_was_lost_comes_back(
    host: Host, visit: Visit, containers_of: Containers, run_module: Callable[..., dict[str, Any]]
) -> None:
    """The edge gets back what it leads to, and nothing else is touched."""
    lost = one_of(host, containers_of, "www", "web")
    others = {one["Id"] for one in containers_of(host)} - {lost["Id"]}
    host.check_output("docker rm --force %s", lost["Id"])
    assert visit(ADDRESS, "www.role-1.lab").status == 502
    told = run_module("seisei.ops.stacks", variables=ENVIRONMENT)
    assert told["changed"] is True, told
    assert visit(ADDRESS, "www.role-1.lab").headers["X-Release"] == RELEASE
    assert others < {one["Id"] for one in containers_of(host)}
    assert run_module("seisei.ops.stacks", variables=ENVIRONMENT)["changed"] is False


def test_services_outlive_a_restart_of_the_engine(host: Host, visit: Visit, containers_of: Containers) -> None:
    before = {one["Name"]: one["State"]["Pid"] for one in containers_of(host)}
    host.check_output("systemctl reset-failed docker.service && systemctl restart docker.service")
    assert {one["Name"]: one["State"]["Pid"] for one in containers_of(host)} == before
    assert {name: visit(ADDRESS, name).status for name in STACKS} == dict.fromkeys(STACKS, 200)
