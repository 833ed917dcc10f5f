"""The secrets of the lab's environments, generated once and kept private."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from pathlib import Path

from labkit.files import write_private
from labkit.settings import ENVIRONMENTS
from plugins.module_utils.model.errors import OpsError

NAMES = (
    "odoo18-database-password",
    "biznexus-database-password",
    "ocr-database-password",
    "backup-password",
    "backup-storage",
    "registry-password",
    "ocr-gemini-api-key",
    "postgres-admin-password",
)


def load_or_make_secrets(path: Path) -> dict[str, str]:
    """Secrets by id ``<environment>/<name>``; those missing in the file at ``path`` are generated and added."""
    wanted = complete(load_secrets(path))
    write_private(path, json.dumps(wanted, indent=2, sort_keys=True) + "\n")
    return wanted


def load_secrets(path: Path) -> dict[str, str]:
    """Secrets in the file at ``path``; none when there is no file. Raises OpsError when it cannot be read."""
    try:
        known: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
    except ValueError as error:
        raise OpsError(
            "the lab's secrets cannot be read, for the file is no JSON",
            where=str(path),
            do="remove it and run `make lab`: new ones are generated, and what used the old ones is made anew",
        ) from error
    return known


def complete(known: dict[str, str]) -> dict[str, str]:
    """``known`` plus a fresh value for every secret it lacks."""
    # One registry serves both environments under one login.
    registry = next((v for k, v in known.items() if k.endswith("/registry-password")), _password())
    fresh = {f"{environment}/{name}": _generate(name) for environment in ENVIRONMENTS for name in NAMES}
    fresh.update({f"{environment}/registry-password": registry for environment in ENVIRONMENTS})
    return {**fresh, **known}


def scram_verifier(password: str, context: str) -> str:
    """PostgreSQL's SCRAM-SHA-256 verifier of ``password``, so that no file given to a server holds the password.

    The salt is derived from ``context`` and the password: the same input gives the same file, and nothing to change.
    """
    salt = hashlib.sha256(f"{context}\0{password}".encode()).digest()[:16]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 4096)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    encode = _base64
    return f"SCRAM-SHA-256$4096:{encode(salt)}${encode(hashlib.sha256(client_key).digest())}:{encode(server_key)}"


def _generate(name: str) -> str:
    if name == "backup-storage":
        return json.dumps({"access_key": f"LAB{secrets.token_hex(8).upper()}", "secret_key": secrets.token_urlsafe(30)})
    return _password()


def _password() -> str:
    return secrets.token_urlsafe(24)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
