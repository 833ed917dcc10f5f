"""Small parts of the database rig: certificates, host rules, the stack that is diagnosed."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "db.faults.lab"
PASSWORD = "faults-correct-horse"
NETWORK = "test-faults"


@dataclass(frozen=True)
class Settings:
    """How the application is told; the defaults are sound. ``password`` None leaves the file out."""

    host: str = HOST
    port: str = "5432"
    user: str = "odoo"
    password: str | None = PASSWORD
    names: str = "acme"
    tls: str = "verify-full"
    ca: str | None = None
    password_mode: int = 0o444
    running: bool = True


def until(ready: Callable[[], bool], limit_s: float, what: str) -> None:
    """Poll, with a limit."""
    end = time.monotonic() + limit_s
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not happen within {limit_s} s")
        time.sleep(0.05)


class Authority:
    """A certificate authority in memory."""

    def __init__(self, name: str, *, days: int = 30) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._certificate = self._signed(self._name, self._key, days, authority=True)
        self.pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, name: str, *, from_day: int = -1, to_day: int = 30) -> tuple[str, str]:
        """Certificate and key for one DNS name, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._signed(subject, key, to_day, from_day=from_day)
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode(), text.decode()

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        to_day: int,
        *,
        from_day: int = -60,
        authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=from_day))
            .not_valid_after(now + datetime.timedelta(days=to_day))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        if not authority:
            common = str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(common)]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def hba(*lines: str) -> str:
    """Host rules; the administrator always comes in."""
    return "\n".join(["local all all trust", "host all admin all scram-sha-256", *lines, ""])


def stack_tree(
    ca: str, *, host: str = HOST, names: str = "acme", tls: str = "verify-full", **told: str
) -> dict[str, Any]:
    """A stack whose database is the server."""
    variables = {
        "host": "DB_HOST", "port": "DB_PORT", "user": "DB_USER", "password_file": "DB_PASSWORD_FILE",
        "names": "DB_NAMES", "tls": "DB_SSLMODE", "ca_file": "DB_SSLROOTCERT",
    }  # fmt: skip
    return {
        "name": "odoo18",
        "services": {
            "web": {"image": "registry.lab/odoo18:sha-19b9b98", "networks": ["edge"], "healthcheck": {"disable": True}}
        },
        "networks": {"edge": {"external": True, "name": NETWORK}},
        "configs": {"database_ca": {"content": ca}},
        "secrets": {"ODOO18_DATABASE_PASSWORD": {"environment": "ODOO18_DATABASE_PASSWORD"}},
        "x-ops": {
            "releases": ["web"],
            "database": {
                "host": host,
                "user": "odoo",
                "password": "ODOO18_DATABASE_PASSWORD",
                "names": names,
                "tls": tls,
                **({"ca": "database_ca"} if tls.startswith("verify") else {}),
                "pool": 2,
                "configured_by": told or variables,
            },
        },
    }
