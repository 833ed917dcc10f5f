"""From a module's arguments to the places a backup moves between: the repository, the database server, the volumes."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .gateway.database_server import Server
from .gateway.engine import Engine
from .gateway.host_state import HostState
from .gateway.object_storage import check_bucket
from .gateway.restic import Repository, Restic
from .gateway.stack_volume import Volumes
from .model.errors import OpsError
from .model.stack import Stack
from .plan.containers import container_name

_TMPFS = Path("/run/seisei")

ARGUMENTS: dict[str, Any] = {
    "stack": {"type": "str", "required": True},
    "tree": {"type": "dict", "default": {}},
    "environment_name": {"type": "str", "default": ""},
    "database_password": {"type": "str", "default": "", "no_log": True},
    "storage": {"type": "dict", "default": {}},
    "storage_ca": {"type": "str", "default": ""},
    "storage_password": {"type": "str", "default": "", "no_log": True},
    "storage_credentials": {"type": "str", "default": "", "no_log": True},
}


@dataclass(frozen=True)
class Places:
    """Where a backup comes from and goes to. ``server`` is None for a stack without a database."""

    restic: Restic
    server: Server | None
    volumes: Volumes


@contextmanager
def places(stack: Stack, given: Mapping[str, Any]) -> Iterator[Places]:
    """Everything that a backup or restore touches, reachable.

    :raises OpsError: when the storage is not there, or the database's container does not run.
    """
    engine = Engine()
    # Certificates only, but on tmpfs all the same, and gone at the end.
    with tempfile.TemporaryDirectory(prefix="backup-", dir=_TMPFS if _TMPFS.is_dir() else None) as folder:
        repository = _repository(stack.name, given, Path(folder))
        check_bucket(repository.endpoint, repository.bucket, repository.ca_file)
        yield Places(Restic(repository), _server(stack, given, engine, Path(folder)), Volumes(engine))


def live_release(stack: str, state: HostState) -> str:
    """The release that is live on this host; empty when none is."""
    number = state.state(stack).live
    return state.record(stack, number).release if number else ""


def _repository(stack: str, given: Mapping[str, Any], folder: Path) -> Repository:
    storage = given["storage"]
    if not storage.get("bucket") or not given["storage_password"]:
        raise OpsError(
            "there is no object storage for backups",
            where="ops_environment.object_storage",
            do="name bucket and password_secret there",
        )
    keys = _credentials(given["storage_credentials"])
    return Repository(
        endpoint=(storage["endpoint"] or f"https://s3.{storage['region']}.amazonaws.com").rstrip("/"),
        bucket=storage["bucket"],
        path="/".join(part for part in (storage["prefix"].strip("/"), stack) if part),
        region=storage["region"],
        ca_file=_written(folder / "storage.pem", given["storage_ca"]),
        password=given["storage_password"],
        access_key=keys.get("access_key", ""),
        secret_key=keys.get("secret_key", ""),
    )


def _credentials(text: str) -> dict[str, str]:
    if not text:
        return {}  # the role of the instance serves
    try:
        keys = json.loads(text)
        return {name: str(keys[name]) for name in ("access_key", "secret_key")}
    except (ValueError, KeyError, TypeError):
        raise OpsError(
            "the credentials of the object storage are not {access_key, secret_key}",
            where="ops_environment.object_storage.credentials_secret",
            do="store them as JSON with these two keys",
        ) from None


def _server(stack: Stack, given: Mapping[str, Any], engine: Engine, folder: Path) -> Server | None:
    database = stack.ops.database
    if database is None:
        return None
    host = database.host or _accessory_address(stack, database.service, engine)
    ca_file = _written(folder / "database.pem", stack.configs.get(database.ca, ""))
    return Server(host, database.port, database.user, given["database_password"], database.tls, ca_file)


def _accessory_address(stack: Stack, service: str, engine: Engine) -> str:
    network = stack.network_of(stack.services[service].networks[0].network)
    return engine.address(container_name(stack.name, service), network)


def _written(path: Path, text: str) -> str:
    if not text:
        return ""
    path.write_text(text)
    return str(path)
