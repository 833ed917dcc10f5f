"""Names and addresses of the lab, said once."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
RECIPES = ROOT / "molecule" / "lab" / "images"
STANDINS = ROOT / "molecule" / "lab" / "standins"

SUITE = "trixie"
PREFIX = "seisei-lab/"
BASE_IMAGE = f"{PREFIX}debian:13"
LABEL = "ops.seisei.lab"
ENVIRONMENTS = ("staging", "production")
TENANTS = ("acme", "globex")
BUCKETS = tuple(f"seisei-{environment}-backups" for environment in ENVIRONMENTS)
REGISTRY_USER = "ops"
DATABASE_ADMIN = "ops_admin"

GIB = 1024**3
DISK_NEEDED = 12 * GIB
MEMORY_NEEDED = 6 * GIB


@dataclass(frozen=True)
class Lab:
    """One lab on this machine. ``name`` and ``subnet`` differ only for a second lab that tests start beside it."""

    name: str = "lab"
    subnet: str = "10.213.0.0/24"
    root: Path = ROOT

    @property
    def network(self) -> str:
        """Name of the Docker network."""
        return f"seisei-{self.name}"

    @property
    def build(self) -> Path:
        """Directory of everything generated for this lab; private, never committed.

        Where it really is: a working tree whose ``build`` is a link has the same lab as the tree that it leads to.
        """
        return (self.root / "build").resolve() / self.name

    @property
    def cache(self) -> Path:
        """Directory of downloads that every lab of this checkout shares."""
        return self.root / "build" / "lab-cache"

    def address(self, last: int) -> str:
        """The address whose last part is ``last``."""
        return str(ipaddress.ip_network(self.subnet)[last])

    def container(self, part: str) -> str:
        """Name of the container of ``part``."""
        return f"{self.name}-{part}"

    def volume(self, part: str, use: str) -> str:
        """Name of the volume that keeps ``use`` of ``part``."""
        return f"{self.name}-{part}-{use}"

    def files(self, part: str) -> Path:
        """Directory mounted read-only at /lab in the container of ``part``."""
        return self.build / "parts" / part


@dataclass(frozen=True)
class Place:
    """Where a part lives: container name without prefix, name in the zone, last part of its address, port."""

    part: str
    dns: str
    last: int
    port: int


DNS = Place("dns", "dns.lab", 2, 53)
REGISTRY = Place("registry", "registry.lab", 3, 5000)
AWS = Place("aws", "aws.lab", 4, 5000)
ACME = Place("acme", "acme.lab", 5, 14000)
DATABASES = {
    "staging": Place("postgres-staging", "postgres.staging.lab", 6, 5432),
    "production": Place("postgres-production", "postgres.production.lab", 7, 5432),
}
HOSTS = {
    "staging": Place("staging-1", "staging-1.lab", 11, 22),
    "production": Place("production-1", "production-1.lab", 12, 22),
}
ROLE_HOST = Place("role-1", "role-1.lab", 13, 22)
PLACES = (DNS, REGISTRY, AWS, ACME, *DATABASES.values(), *HOSTS.values())

CUSTOMER_DOMAINS = {"demo.nagashiro.lab": "production", "demo.staging.nagashiro.lab": "staging"}
