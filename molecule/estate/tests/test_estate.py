"""What the estate is as a whole: two environments that mirror each other, never meet, and are told as they are."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from testinfra.host import Host

from plugins.module_utils.plan.settings import settings_of

ROOT = Path(__file__).resolve().parents[3]
LAB = ROOT / "build" / "lab"
ADDRESSES = {"staging": "10.213.0.11", "production": "10.213.0.12"}
DATABASES = {"staging": "10.213.0.6", "production": "10.213.0.7"}
OTHER = {"staging": "production", "production": "staging"}
# What nothing of the other environment may name.
MARKS = {
    "staging": ("staging", ADDRESSES["staging"], DATABASES["staging"]),
    "production": ("production", ADDRESSES["production"], DATABASES["production"], "demo.nagashiro.lab"),
}
STACKS = {
    "acme.erp.{}.lab": "odoo18",
    "globex.erp.{}.lab": "odoo18",
    "biznexus.{}.lab": "biznexus",
    "langbot.{}.lab": "langbot",
    "www.{}.lab": "www",
}
DOMAINS = [
    *((place, name.format(place), stack) for place in ADDRESSES for name, stack in STACKS.items()),
    ("staging", "demo.staging.nagashiro.lab", "odoo18"),
    ("production", "demo.nagashiro.lab", "odoo18"),
]
SERVICES = {
    ("biznexus", "db"),
    ("biznexus", "web"),
    ("edge", "traefik"),
    ("langbot", "web"),
    ("ocr", "db"),
    ("ocr", "web"),
    ("odoo18", "redis"),
    ("odoo18", "web"),
    ("www", "web"),
}

Visit = Callable[..., Any]
Containers = list[dict[str, Any]]


@pytest.fixture(scope="module")
def hosts(connect: Callable[[str], Host]) -> dict[str, Host]:
    """Each environment's host."""
    return {place: connect(address) for place, address in ADDRESSES.items()}


@pytest.fixture
def containers(hosts: dict[str, Host], containers_of: Callable[[Host], Containers]) -> dict[str, Containers]:
    """What the engine of each environment's host tells of its stacks' containers."""
    return {place: containers_of(host) for place, host in hosts.items()}


@pytest.fixture
def live(
    hosts: dict[str, Host], containers: dict[str, Containers], visit: Visit
) -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
    """The container of each service that does the work: of released ones that which answers when the edge is asked."""
    found: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for place, host in hosts.items():
        answering = {
            visit(ADDRESSES[place], name, "/whoami").document["hostname"] for at, name, _ in DOMAINS if at == place
        }
        answering.add(_asked_inside(host, containers[place])["hostname"])
        found[place] = {
            (labels["ops.seisei.stack"], labels["ops.seisei.service"]): one
            for one in containers[place]
            if "ops.seisei.release" not in (labels := one["Config"]["Labels"]) or one["Config"]["Hostname"] in answering
        }
    return found


def _asked_inside(host: Host, containers: Containers) -> dict[str, Any]:
    """What answers under the internal name, asked from a container of another stack."""
    web = next(one for one in containers if one["Config"]["Labels"]["ops.seisei.stack"] == "langbot")
    fetch = "import urllib.request as r; print(r.urlopen('http://ocr.internal:8081/whoami').read().decode())"
    answer: dict[str, Any] = json.loads(host.check_output("docker exec %s python3 -c %s", web["Id"], fetch))
    return answer


@pytest.mark.parametrize(("place", "name", "stack"), DOMAINS)
def test_a_name_is_served_under_a_certificate_for_it(visit: Visit, place: str, name: str, stack: str) -> None:
    answer = visit(ADDRESSES[place], name)
    assert answer.status == 200
    assert answer.headers["X-Stack"] == stack
    assert answer.headers["X-Release"].startswith("sha-")


@pytest.mark.parametrize(("place", "name", "stack"), DOMAINS)
def test_a_name_is_unknown_to_the_other_environment(visit: Visit, place: str, name: str, stack: str) -> None:
    assert visit(ADDRESSES[OTHER[place]], name, verify=False).status == 404


def test_both_hosts_run_the_same_services_in_the_same_way(
    live: dict[str, dict[tuple[str, str], dict[str, Any]]],
) -> None:
    """Only values of settings may differ, and the release: never what a container may do or how it is watched."""
    assert {place: set(found) for place, found in live.items()} == {"staging": SERVICES, "production": SERVICES}
    for service in SERVICES:
        staging, production = (_definition(live[place][service]) for place in ("staging", "production"))
        assert staging == production, service


def _definition(container: dict[str, Any]) -> dict[str, Any]:
    """What the engine says of it, in the words of the stack file, without values that an environment gives."""
    found = settings_of(container, {})
    found["environment"] = sorted(found["environment"])
    found["image"] = found["image"].split("@")[0]
    found["labels"] = sorted(found.get("labels", {}))
    found["command"] = [word.split("=")[0] for word in found.get("command", ())]
    # Their marks go by their content, and those of secrets by the host's key as well.
    for files in ("configs", "secrets"):
        found[files] = {target: name.split(".")[0] for target, name in found.get(files, {}).items()}
    return found


def test_nothing_of_one_environment_names_the_other(hosts: dict[str, Host], containers: dict[str, Containers]) -> None:
    for place, host in hosts.items():
        told = json.dumps(containers[place])
        told += host.check_output("docker network inspect $(docker network ls --quiet)")
        told += host.check_output("cat /var/lib/seisei/edge/dynamic/* /var/lib/seisei/stacks/*/records/*.json")
        assert all(mark in told for mark in MARKS[place][:1]), "nothing was read"
        assert [mark for mark in MARKS[OTHER[place]] if mark in told] == [], place


def test_the_environments_share_no_secret(hosts: dict[str, Host]) -> None:
    hashes = {
        place: set(host.check_output("sha256sum /run/seisei/secrets/*/* | cut -d ' ' -f 1").split())
        for place, host in hosts.items()
    }
    assert {place: len(found) for place, found in hashes.items()} == {"staging": 4, "production": 4}
    assert hashes["staging"] & hashes["production"] == set()


@pytest.mark.parametrize("place", ADDRESSES)
def test_a_database_server_sees_its_own_environment_alone(visit: Visit, place: str) -> None:
    for tenant in ("acme", "globex"):
        assert visit(ADDRESSES[place], f"{tenant}.erp.{place}.lab").status == 200
    secrets = json.loads((LAB / "secrets.json").read_text(encoding="utf-8"))
    with psycopg.connect(
        host=DATABASES[place],
        user="ops_admin",
        password=secrets[f"{place}/postgres-admin-password"],
        dbname="postgres",
        sslmode="verify-full",
        sslrootcert=str(LAB / "ca" / "ca.pem"),
    ) as connection:
        rows = connection.execute("SELECT DISTINCT host(client_addr) FROM pg_stat_activity WHERE usename = 'odoo'")
        clients = {address for (address,) in rows}
    assert ADDRESSES[place] in clients
    assert ADDRESSES[OTHER[place]] not in clients


def test_status_tells_what_the_engines_and_the_edges_tell(
    live: dict[str, dict[tuple[str, str], dict[str, Any]]], hosts: dict[str, Host], tmp_path: Path
) -> None:
    told = {(row["environment"], row["stack"]): row for row in status(tmp_path / "status.json")}
    assert set(told) == {(place, stack) for place in hosts for stack, _ in SERVICES}
    for (place, stack), row in told.items():
        found = {service: one for (of, service), one in live[place].items() if of == stack}
        states = {one["State"]["Health"]["Status"] for one in found.values()}
        assert (row["health"], states) == ("healthy", {"healthy"}), row
        if "web" in found:
            labels, image = found["web"]["Config"]["Labels"], found["web"]["Config"]["Image"]
            assert (row["release"], str(row["number"])) == (labels["ops.seisei.release"], labels["ops.seisei.number"])
            assert row["digest"] == image.split("@")[1]


def status(path: Path) -> list[dict[str, Any]]:
    """The rows that the playbook writes."""
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    argv = [playbook, "-i", "inventories/lab", "playbooks/status.yml", "-e", "format=json", "-e", f"path={path}"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return [row for row in rows if "open" not in row]  # statements that are open come after the stacks
