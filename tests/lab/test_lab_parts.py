"""Each shared part of the lab does its work, and refuses what it must refuse."""

from __future__ import annotations

import json
import secrets
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docker
import psycopg
import pytest
import requests
from botocore.exceptions import ClientError
from labkit import aws, health, ledger
from labkit.settings import (
    ACME,
    BUCKETS,
    DATABASES,
    ENVIRONMENTS,
    HOSTS,
    LEDGER_BUCKET,
    REGISTRY,
    REGISTRY_USER,
    TENANTS,
    Lab,
)

from tests.lab.procedure_parts import ADDRESSES, on_host

pytestmark = pytest.mark.lab

LAB = Lab()
CA = str(LAB.build / "ca" / "ca.pem")
REGISTRY_URL = f"https://{LAB.address(REGISTRY.last)}:{REGISTRY.port}/v2"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
type Connect = Callable[..., psycopg.Connection[Any]]


@pytest.fixture(scope="module")
def known() -> dict[str, str]:
    """The lab's secrets by id."""
    values: dict[str, str] = json.loads((LAB.build / "secrets.json").read_text())
    return values


@pytest.fixture
def login(known: dict[str, str]) -> tuple[str, str]:
    """User and password of the registry."""
    return (REGISTRY_USER, known["staging/registry-password"])


def test_every_part_is_well(known: dict[str, str]) -> None:
    complaints = {
        h.part: h.complaint for h in health.examine(docker.from_env(), LAB, known, role_host=False) if h.complaint
    }
    assert complaints == {}


# --- names


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("acme.erp.staging.lab", "10.213.0.11"),
        ("globex.erp.production.lab", "10.213.0.12"),
        ("biznexus.staging.lab", "10.213.0.11"),
        ("demo.nagashiro.lab", "10.213.0.12"),
        ("demo.staging.nagashiro.lab", "10.213.0.11"),
        ("postgres.staging.lab", "10.213.0.6"),
        ("postgres.production.lab", "10.213.0.7"),
        ("registry.lab", "10.213.0.3"),
    ],
)
def test_names_lead_to_their_environment(name: str, address: str) -> None:
    assert health.ask_dns(LAB, name) == address


def test_an_unknown_name_of_the_zone_has_no_address() -> None:
    with pytest.raises(OSError, match="no address"):
        health.ask_dns(LAB, "nobody.lab")


# --- registry


def test_the_registry_refuses_a_wrong_password_and_no_password() -> None:
    for attempt in (None, (REGISTRY_USER, "wrong"), ("nobody", "wrong")):
        assert requests.get(f"{REGISTRY_URL}/", verify=CA, auth=attempt, timeout=5).status_code == 401


def test_the_registry_is_trusted_through_the_labs_authority_alone(login: tuple[str, str]) -> None:
    assert requests.get(f"{REGISTRY_URL}/", verify=CA, auth=login, timeout=5).status_code == 200
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{REGISTRY_URL}/", auth=login, timeout=5)


@pytest.mark.parametrize("stack", ["odoo18", "biznexus", "ocr", "langbot", "www"])
def test_every_release_has_a_digest_of_its_own_that_leads_to_the_same_manifest(
    stack: str, login: tuple[str, str]
) -> None:
    def get(reference: str) -> requests.Response:
        url, headers = f"{REGISTRY_URL}/{stack}/manifests/{reference}", {"Accept": MANIFEST}
        return requests.get(url, verify=CA, auth=login, headers=headers, timeout=5)

    by_tag = [get(f"sha-{sha}") for sha in ("19b9b98", "724f892", "0badbad")]
    digests = [answer.headers["Docker-Content-Digest"] for answer in by_tag]
    assert len(set(digests)) == 3
    assert [get(digest).content for digest in digests] == [answer.content for answer in by_tag]
    assert get("sha-0000000").status_code == 404


# --- AWS


def test_object_storage_refuses_to_overwrite_what_must_be_new(known: dict[str, str]) -> None:
    store = aws.client(LAB, "s3", known)
    key = f"test/{secrets.token_hex(8)}"
    try:
        store.put_object(Bucket=BUCKETS[0], Key=key, Body=b"first", IfNoneMatch="*")
        with pytest.raises(ClientError) as refusal:
            store.put_object(Bucket=BUCKETS[0], Key=key, Body=b"second", IfNoneMatch="*")
        assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 412
        assert store.get_object(Bucket=BUCKETS[0], Key=key)["Body"].read() == b"first"
    finally:
        store.delete_object(Bucket=BUCKETS[0], Key=key)


def test_the_bucket_of_the_ledger_keeps_versions_and_can_lock_them(known: dict[str, str]) -> None:
    store = aws.client(LAB, "s3", known)
    assert store.get_bucket_versioning(Bucket=LEDGER_BUCKET)["Status"] == "Enabled"
    lock = store.get_object_lock_configuration(Bucket=LEDGER_BUCKET)["ObjectLockConfiguration"]
    assert lock["ObjectLockEnabled"] == "Enabled"


def test_a_ledger_that_is_gone_is_forgotten_by_hosts_and_by_this_checkout(tmp_path: Path) -> None:
    head = "/var/lib/seisei/ledger_head.json"
    before = {host: on_host(f"cat {head} 2>/dev/null || true", host) for host in ADDRESSES}
    copies = tmp_path / "build" / "ledger"
    copies.mkdir(parents=True)
    for name in ("10.213.0.4-seisei-ledger.jsonl", "ap-northeast-1-seisei-ledger.jsonl"):
        (copies / name).write_text("")
    try:
        on_host(f"echo old > {head}", "staging-1")
        forgot = ledger.forget_old_ledger(docker.from_env(), Lab(root=tmp_path), role_host=False)
        assert {"build/ledger/10.213.0.4-seisei-ledger.jsonl", "staging-1"} <= set(forgot)
        assert on_host(f"cat {head} 2>/dev/null || true", "staging-1") == ""
        assert [path.name for path in copies.iterdir()] == ["ap-northeast-1-seisei-ledger.jsonl"], "a real one is not"
    finally:
        for host, text in before.items():
            on_host(f"cat > {head}" if text else f"rm -f {head}", host, text)


def test_the_secrets_manager_holds_every_secret(known: dict[str, str]) -> None:
    manager = aws.client(LAB, "secretsmanager", known)
    assert {name: manager.get_secret_value(SecretId=name)["SecretString"] for name in known} == known


def test_aws_is_not_trusted_without_the_labs_authority(known: dict[str, str]) -> None:
    endpoint = aws.client(LAB, "s3", known).meta.endpoint_url
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(endpoint, timeout=5)


# --- ACME


def test_the_acme_directory_answers_over_tls() -> None:
    url = f"https://{LAB.address(ACME.last)}:{ACME.port}"
    directory = requests.get(f"{url}/dir", verify=CA, timeout=5).json()
    assert {"newAccount", "newNonce", "newOrder"} <= directory.keys()
    nonce = requests.head(f"{url}/nonce-plz", verify=CA, timeout=5).headers["Replay-Nonce"]
    assert nonce


# --- databases


@pytest.fixture
def connect(known: dict[str, str]) -> Connect:
    """Connect to an environment's database by its name, as an application does."""

    def connect(environment: str, **overrides: Any) -> psycopg.Connection[Any]:
        place = DATABASES[environment]
        settings: dict[str, Any] = {
            "host": place.dns,
            "hostaddr": LAB.address(place.last),
            "port": place.port,
            "dbname": TENANTS[0],
            "user": "odoo",
            "password": known[f"{environment}/odoo18-database-password"],
            "sslmode": "verify-full",
            "sslrootcert": CA,
            "connect_timeout": 5,
        }
        return psycopg.connect(**(settings | overrides))

    return connect


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_application_reaches_its_databases_over_verified_tls(environment: str, connect: Connect) -> None:
    for tenant in TENANTS:
        with connect(environment, dbname=tenant) as connection:
            row = connection.execute(
                "SELECT ssl, pg_catalog.pg_get_userbyid(datdba) FROM pg_stat_ssl, pg_database"
                " WHERE pid = pg_backend_pid() AND datname = current_database()"
            ).fetchone()
        assert row == (True, "odoo")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_connection_in_plain_text_is_refused(environment: str, connect: Connect) -> None:
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        connect(environment, sslmode="disable", sslrootcert=None)


def test_a_wrong_password_is_refused(connect: Connect) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect("staging", password="wrong")


def test_stagings_password_does_not_open_production(connect: Connect, known: dict[str, str]) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect("production", password=known["staging/odoo18-database-password"])


def test_a_server_under_another_name_is_not_trusted(connect: Connect) -> None:
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        connect("staging", host=DATABASES["production"].dns)


def test_the_application_may_make_a_tenant_and_is_no_superuser(connect: Connect) -> None:
    name = f"test_{secrets.token_hex(4)}"
    with connect("staging") as connection:
        connection.autocommit = True
        connection.execute(f"CREATE DATABASE {name}")
        connection.execute(f"DROP DATABASE {name}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE ROLE intruder")
        assert connection.execute("SHOW max_connections").fetchone() == ("100",)


# --- hosts


def ssh(address: str, known_hosts: Path, *command: str) -> subprocess.CompletedProcess[str]:
    arguments = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    arguments += ["-o", f"UserKnownHostsFile={known_hosts}", "-o", "GlobalKnownHostsFile=/dev/null"]
    arguments += ["-o", "IdentitiesOnly=yes", "-i", str(LAB.build / "ssh" / "id_ed25519"), "-o", "ConnectTimeout=5"]
    return subprocess.run([*arguments, f"root@{address}", *command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_host_is_reached_with_strict_keys_and_nothing_on_it_failed(environment: str) -> None:
    address = LAB.address(HOSTS[environment].last)
    result = ssh(
        address, LAB.build / "ssh" / "known_hosts", "hostname; systemctl is-system-running; cat /etc/debian_version"
    )
    name, state, version = result.stdout.split()
    assert name == HOSTS[environment].part
    assert state == "running"
    assert version.startswith("13")


def test_a_host_with_another_key_is_not_believed(tmp_path: Path) -> None:
    address, other = (LAB.address(HOSTS[environment].last) for environment in ENVIRONMENTS)
    lines = (LAB.build / "ssh" / "known_hosts").read_text().splitlines()
    swapped = tmp_path / "known_hosts"
    swapped.write_text(f"{address} {' '.join(next(line for line in lines if other in line).split()[1:])}\n")
    result = ssh(address, swapped, "true")
    assert result.returncode == 255
    assert "Host key verification failed" in result.stderr


def test_a_host_takes_its_names_from_the_labs_dns() -> None:
    result = ssh(LAB.address(HOSTS["staging"].last), LAB.build / "ssh" / "known_hosts", "getent hosts registry.lab")
    assert result.stdout.split()[0] == LAB.address(REGISTRY.last)


def test_nothing_of_the_lab_is_published_beyond_this_machine() -> None:
    containers = docker.from_env().containers.list(filters={"label": f"ops.seisei.lab.name={LAB.name}"})
    bindings = [b for c in containers for b in (c.attrs["NetworkSettings"]["Ports"] or {}).values() if b]
    assert {binding["HostIp"] for ports in bindings for binding in ports} == {"127.0.0.1"}


def test_private_files_are_private() -> None:
    assert LAB.build.stat().st_mode & 0o777 == 0o700
    for path in ("secrets.json", "ca/ca.key", "ssh/id_ed25519", "aws/credentials"):
        assert (LAB.build / path).stat().st_mode & 0o777 == 0o600


def test_no_secret_shows_in_docker_inspect(known: dict[str, str]) -> None:
    for container in docker.from_env().containers.list(filters={"label": f"ops.seisei.lab.name={LAB.name}"}):
        text = json.dumps(container.attrs)
        assert not any(value in text for value in known.values()), container.name


def test_dns_answers_over_tcp_as_well() -> None:
    with socket.create_connection((LAB.address(2), 53), timeout=3):
        pass
