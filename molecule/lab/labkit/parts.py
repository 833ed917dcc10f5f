"""The shared parts: their files and their containers."""

from __future__ import annotations

import json

from labkit.containers import MIB, Spec
from labkit.files import write_private
from labkit.pki import Authority, ensure_certificate
from labkit.secrets import scram_verifier
from labkit.settings import (
    ACME,
    AWS,
    CUSTOMER_DOMAINS,
    DATABASE_ADMIN,
    DATABASES,
    DNS,
    HOSTS,
    PLACES,
    PREFIX,
    REGISTRY,
    ROLE_HOST,
    TENANTS,
    Lab,
    Place,
)


def write_part_files(lab: Lab, authority: Authority, secrets: dict[str, str]) -> None:
    """Write the configuration, keys and certificates of every shared part below ``lab.build/parts``."""
    for place in (REGISTRY, AWS, ACME, *DATABASES.values()):
        ensure_certificate(authority, lab.files(place.part), (place.dns,), lab.address(place.last))
    write_private(lab.files(DNS.part) / "dnsmasq.conf", dns_configuration(lab))
    write_private(lab.files(REGISTRY.part) / "config.yml", json.dumps(_registry_configuration(), indent=2))
    write_private(lab.files(REGISTRY.part) / "password", secrets["staging/registry-password"])
    write_private(lab.files(ACME.part) / "pebble.json", json.dumps(_acme_configuration(), indent=2))
    for environment, place in DATABASES.items():
        write_private(lab.files(place.part) / "roles.sql", roles_sql(environment, secrets))
        write_private(lab.files(place.part) / "pg_hba.conf", _HBA)


def part_specs(lab: Lab) -> list[Spec]:
    """The containers of the shared parts."""
    run = {"/run": "size=16m"}
    return [
        Spec(DNS.part, f"{PREFIX}dns:1", DNS.last, 64 * MIB),
        Spec(
            REGISTRY.part,
            f"{PREFIX}registry:1",
            REGISTRY.last,
            256 * MIB,
            volumes={"images": "/var/lib/registry"},
            kept=("images",),
            tmpfs=run,
            # The engine of this machine pushes through loopback, where it asks for no certificate of ours.
            published=(REGISTRY.port,),
        ),
        Spec(AWS.part, f"{PREFIX}aws:1", AWS.last, 384 * MIB),
        Spec(
            ACME.part,
            f"{PREFIX}acme:1",
            ACME.last,
            128 * MIB,
            command=("pebble", "-config", "/lab/pebble.json", "-dnsserver", f"{lab.address(DNS.last)}:53"),
        ),
        *(
            Spec(
                place.part,
                f"{PREFIX}database:1",
                place.last,
                512 * MIB,
                volumes={"data": "/var/lib/postgresql/data"},
                tmpfs=run,
                hostname=place.part,
            )
            for place in DATABASES.values()
        ),
    ]


def dns_configuration(lab: Lab) -> str:
    """Configuration of dnsmasq: the zone .lab, the customers' domains, everything else to the machine's resolver."""
    lines = ["no-resolv", "no-hosts", "bind-interfaces", "cache-size=1000", "local=/lab/"]
    # The engine's resolver inside every container hands on to the resolver this machine uses.
    lines.append("server=127.0.0.11")
    lines += [_record(lab, place.dns, place) for place in (*PLACES, ROLE_HOST)]
    for environment, host in HOSTS.items():
        # Every name of an environment leads to its host, as a wild card of the real zone does.
        lines.append(_record(lab, f"{environment}.lab", host))
        lines.append(_record(lab, host.part, host))
    lines += [_record(lab, domain, HOSTS[environment]) for domain, environment in CUSTOMER_DOMAINS.items()]
    return "\n".join(lines) + "\n"


def _record(lab: Lab, name: str, place: Place) -> str:
    return f"address=/{name}/{lab.address(place.last)}"


def _registry_configuration() -> dict[str, object]:
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": "/var/lib/registry"}, "delete": {"enabled": True}},
        "http": {"addr": ":5000", "tls": {"certificate": "/lab/tls.pem", "key": "/lab/tls.key"}},
        "auth": {"htpasswd": {"realm": "registry", "path": "/run/htpasswd"}},
    }


def _acme_configuration() -> dict[str, object]:
    pebble = {
        "listenAddress": "0.0.0.0:14000",
        "managementListenAddress": "0.0.0.0:15000",
        "certificate": "/lab/tls.pem",
        "privateKey": "/lab/tls.key",
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
    }
    return {"pebble": pebble}


_HBA = """\
local   all all                 peer
hostssl all all 0.0.0.0/0       scram-sha-256
hostssl all all ::/0            scram-sha-256
"""


def roles_sql(environment: str, secrets: dict[str, str]) -> str:
    """SQL that makes what is missing of an environment's roles and databases, and sets their passwords."""
    odoo = scram_verifier(secrets[f"{environment}/odoo18-database-password"], f"{environment}/odoo")
    admin = scram_verifier(secrets[f"{environment}/postgres-admin-password"], f"{environment}/{DATABASE_ADMIN}")
    statements = [_role("odoo", "LOGIN CREATEDB", odoo), _role(DATABASE_ADMIN, "LOGIN SUPERUSER", admin)]
    for tenant in TENANTS:
        missing = f"NOT EXISTS (SELECT FROM pg_database WHERE datname = '{tenant}')"
        statements.append(f"SELECT 'CREATE DATABASE {tenant} OWNER odoo' WHERE {missing} \\gexec")
    statements += [f"REVOKE CONNECT ON DATABASE {name} FROM PUBLIC;" for name in TENANTS]
    return "\n".join(statements) + "\n"


def _role(name: str, attributes: str, verifier: str) -> str:
    missing = f"NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}')"
    create = f"SELECT 'CREATE ROLE {name}' WHERE {missing} \\gexec"
    return f"{create}\nALTER ROLE {name} {attributes} PASSWORD '{verifier}';"
