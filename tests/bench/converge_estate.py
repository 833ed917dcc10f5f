"""The estate that ways to converge are compared on: six stacks of two services, and the same as Compose projects."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.lab.procedure_parts import ROOT, Checkout

STACKS = tuple(f"unit{number}" for number in range(1, 7))
SERVICES = ("front", "store")
HOST, ADDRESS = "bench-1", "10.213.0.13"
SECRET = "production/ocr-gemini-api-key"  # the name of one that the lab has
# The peers' own name for the image that our first convergence fetched by its digest.
PEER_IMAGE = "bench/redis:7"
PROJECTS = "/srv/bench"


def containers() -> int:
    """How many containers the estate has."""
    return len(STACKS) * len(SERVICES)


def stack(name: str) -> dict[str, Any]:
    """A stack file: health, order, a private network, volumes, a config and a secret."""
    health = {
        "test": ["CMD", "redis-cli", "ping"],
        "interval": "5s",
        "timeout": "3s",
        "start_period": "10s",
        "start_interval": "500ms",
    }
    shared = {"image": "${REGISTRY}/redis:7", "networks": ["backend"], "healthcheck": health, "mem_limit": "64m"}
    return {
        "name": name,
        "services": {
            "front": {
                **shared,
                "environment": {"STORE": "store", "UNIT": name},
                "labels": {"unit": name},
                "volumes": ["front:/data"],
                "depends_on": {"store": {"condition": "service_healthy"}},
                "configs": [{"source": "settings", "target": "/etc/unit.conf"}],
                "secrets": ["TOKEN"],
            },
            "store": {**shared, "volumes": ["store:/data"]},
        },
        "networks": {"backend": {"internal": True}},
        "volumes": {"front": {}, "store": {}},
        "configs": {"settings": {"content": f"unit = {name}\nlevel = info\n"}},
        "secrets": {"TOKEN": {"environment": "TOKEN"}},
        "x-ops": {"summary": f"Unit {name} of the measurement"},
    }


def project(name: str) -> dict[str, Any]:
    """The same as a Compose project, its secret from a file beside it; x-ops means nothing to Compose."""
    document = stack(name)
    del document["x-ops"]
    document["name"] = f"peer-{name}"
    for service in document["services"].values():
        service |= {"image": PEER_IMAGE, "restart": "unless-stopped"}
    document["secrets"] = {"TOKEN": {"file": "./TOKEN"}}
    return document


class Estate(Checkout):
    """A checkout whose only host is the throw-away one, and whose only stacks are ours."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        for file in (folder / "inventories" / "stacks").glob("*.yml"):
            file.unlink()
        for name in STACKS:
            _write(folder / "inventories" / "stacks" / f"{name}.yml", stack(name))
            _write(folder / "peers" / name / "compose.yml", project(name))
        lab = folder / "inventories" / "lab"
        _write(lab / "group_vars" / "bench" / "environment.yml", {"ops_environment": _environment()})
        shutil.copy(ROOT / "tests" / "bench" / "converge_stock.yml", folder / "stock.yml")
        shutil.copy(ROOT / "molecule" / "empty_host.yml", folder)
        # The settings Ansible comes with, for who installs it and begins.
        (folder / "plain.cfg").write_text("[defaults]\nhost_key_checking = True\n", encoding="utf-8")
        self._name_host({})

    @contextmanager
    def interpreter(self, path: str) -> Iterator[None]:
        """Within the block the host's modules are started by this program."""
        self._name_host({"ansible_python_interpreter": path})
        try:
            yield
        finally:
            self._name_host({})

    def _name_host(self, variables: Mapping[str, str]) -> None:
        host = {HOST: {"ansible_host": ADDRESS, **variables}}
        children = {"bench": {"hosts": host}}
        groups = {"stack_hosts": {"children": children}, "role_hosts": {"children": children}}
        _write(self.root / "inventories" / "lab" / "hosts.yml", {"all": {"children": groups}})


def _environment() -> dict[str, Any]:
    return {
        "name": "bench",
        "registry": "{{ lab_registry | combine({'password_secret': 'production/registry-password'}) }}",
        "aws": "{{ lab_aws }}",
        "secrets": {"TOKEN": SECRET},
    }


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(document), sort_keys=False), encoding="utf-8")
