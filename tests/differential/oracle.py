"""The same Compose file given to Compose and to us, on one engine of the lab; nothing is started.

Compose is the oracle: it makes networks, volumes and containers from the file as it stands, and resolves its names by
itself. Beside it, on the same networks and volumes, we make ours. What the two may not share is renamed for both: the
stack, and networks that the file names itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from plugins.module_utils.gateway.engine import Engine
from plugins.module_utils.gateway.stack_file import read_text
from plugins.module_utils.model.container import WantedContainer
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.interpolation import interpolate
from plugins.module_utils.model.stack import Stack, parse_tree, with_release
from plugins.module_utils.plan.containers import wanted_container
from tests.lab.procedure_parts import ROOT, ssh_words

CASES = Path(__file__).parent / "cases"
STACKS = ROOT / "inventories" / "stacks"
RELEASE = "sha-19b9b98"
MARK = "0123456789abcdef"
PREFIX = "differential-"
_NO_SECRET = "not a real one"
_SECRETS = ("FIRST_KEY", "SECOND_KEY", "THIRD_KEY", "API_KEY")
_HOSTS_PLACES = ("/var/lib/seisei/configs", "/run/seisei/secrets")


@dataclass(frozen=True)
class Pair:
    """One service as both made it: what was wanted of ours, and the three inspects."""

    wanted: WantedContainer
    ours: Mapping[str, Any]
    compose: Mapping[str, Any]
    image: Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """A Compose file, and the names of its services."""

    path: Path
    services: tuple[str, ...]

    @property
    def name(self) -> str:
        """What its stack is called here."""
        return f"{PREFIX}{self.path.stem.replace('_', '-')}"


def variables() -> dict[str, str]:
    """What both resolve names with: the lab's staging, and values for names that only the cases use."""
    environment = yaml.safe_load((ROOT / "inventories/lab/group_vars/staging/environment.yml").read_text())
    shared = yaml.safe_load((ROOT / "inventories/lab/group_vars/all/lab.yml").read_text())
    found = {**environment["ops_environment"]["variables"], "REGISTRY": shared["lab_registry"]["server"]}
    secrets = dict.fromkeys((*environment["ops_environment"]["secrets"], *_SECRETS), _NO_SECRET)
    return {**found, "DATABASE_CA": "a certificate\n", "ADDRESS": "10.0.0.1", **secrets}


def cases() -> list[Case]:
    """Every Compose file that is compared: written for it, and the stacks of the estate."""
    paths = [*sorted(CASES.glob("*.yml")), *sorted(STACKS.glob("*.yml"))]
    return [Case(path, tuple(yaml.safe_load(path.read_text())["services"])) for path in paths]


@dataclass
class Oracle:
    """One engine, spoken to by both. ``images`` is an inspect by repository; ``daemon`` is what daemon.json says."""

    host: str
    engine: Engine
    socket: Path
    work: Path
    variables: Mapping[str, str]
    images: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    daemon: Mapping[str, Any] = field(default_factory=dict)

    def look(self) -> None:
        """Learn which images there are, and what the daemon fills in by itself."""
        found = [self.engine.api.inspect_image(image["Id"]) for image in self.engine.api.images()]
        self.images = {digest.partition("@")[0]: one for one in found for digest in one["RepoDigests"] or ()}
        self.daemon = json.loads(self.on_host("cat /etc/docker/daemon.json"))

    def on_host(self, command: str) -> str:
        """What a command says on the host."""
        done = subprocess.run([*ssh_words(self.host), command], capture_output=True, text=True, check=True)
        return done.stdout

    def compare(self, case: Case) -> dict[str, Pair]:
        """Both make the containers of a case. Raises OpsError when our language, Compose or the engine refuses."""
        tree = self._tree(case)
        overrides = self._overrides(tree)
        self._compose(case, overrides)
        stack = _parsed(case, tree, overrides)
        return {name: self._pair(case, stack, name) for name in case.services}

    def _tree(self, case: Case) -> dict[str, Any]:
        document = read_text(case.path.read_text(), case.path.name)
        tree = with_release(interpolate(document, self.variables), RELEASE)
        document.finish()
        return dict(tree)

    def _image(self, reference: str) -> tuple[str, Mapping[str, Any]]:
        repository = reference.rpartition(":")[0]
        if repository not in self.images:
            raise OpsError(
                f"the engine holds no image of {repository}", where=self.host, do="run playbooks/converge.yml"
            )
        image = self.images[repository]
        return next(digest for digest in image["RepoDigests"] if digest.startswith(f"{repository}@")), image

    def _overrides(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """What is other than in the file, for both: the digests that the engine holds, and names of this test's own."""
        found: dict[str, Any] = {
            "services": {
                name: {"image": self._image(service["image"])[0], "pull_policy": "never"}
                for name, service in tree["services"].items()
            }
        }
        for section in ("networks", "volumes"):
            named = {key: one["name"] for key, one in (tree.get(section) or {}).items() if one and one.get("name")}
            found[section] = {key: {"name": f"{PREFIX}{name.removeprefix(PREFIX)}"} for key, name in named.items()}
        return found

    def _compose(self, case: Case, overrides: Mapping[str, Any]) -> None:
        beside = self.work / f"{case.name}.yml"
        beside.write_text(yaml.safe_dump(overrides))
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.work), "DOCKER_HOST": f"unix://{self.socket}"}
        words = [
            "-p",
            case.name,
            "--project-directory",
            str(self.work),
            "-f",
            str(case.path),
            "-f",
            str(beside),
            "create",
        ]
        done = subprocess.run(
            [compose_program(), *words],
            env={**environment, **self.variables, "RELEASE": RELEASE},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise OpsError(f"Compose refuses it: {done.stderr.strip()[-400:]}", where=case.path.name)

    def _pair(self, case: Case, stack: Stack, name: str) -> Pair:
        reference, image = self._image(stack.services[name].image)
        wanted = _wanted(stack, name, reference.partition("@")[2])
        self.engine.create(wanted)
        ours, compose = (self.engine.inspect(one) or {} for one in (wanted.name, f"{case.name}-{name}-1"))
        return Pair(wanted, ours, compose, image)

    def place_files(self, everything: list[Case]) -> None:
        """Files where configs and secrets would lie: the engine refuses to mount what is not there."""
        sources = sorted(source for case in everything for source in self._files(case))
        folders = sorted({str(Path(source).parent) for source in sources})
        self.on_host(f"mkdir -p {' '.join(folders)} && touch {' '.join(sources)}")

    def _files(self, case: Case) -> set[str]:
        try:
            stack = _parsed(case, self._tree(case), {})
        except OpsError:
            return set()  # its own tests say so
        made = (_wanted(stack, name, "sha256:0").payload["HostConfig"] for name in case.services)
        sources = (mount["Source"] for config in made for mount in config.get("Mounts", ()))
        return {source for source in sources if source.startswith(_HOSTS_PLACES)}

    def clear(self) -> None:
        """Take away what this test made, or an earlier one that was cut off."""
        api = self.engine.api
        containers = [one["Id"] for one in api.containers(all=True) if one["Names"][0].startswith(f"/{PREFIX}")]
        networks = [one["Id"] for one in api.networks() if one["Name"].startswith(PREFIX)]
        volumes = [one["Name"] for one in api.volumes()["Volumes"] or () if one["Name"].startswith(PREFIX)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self.engine.remove, containers))
            list(pool.map(api.remove_network, networks))
            list(pool.map(api.remove_volume, volumes))
        self.on_host(f"rm -rf {' '.join(f'{place}/{PREFIX}*' for place in _HOSTS_PLACES)}")


def _wanted(stack: Stack, service: str, digest: str) -> WantedContainer:
    return wanted_container(
        stack,
        stack.services[service],
        environment="differential",
        digest=digest,
        secret_marks=dict.fromkeys(stack.secrets, MARK),
    )


def _parsed(case: Case, tree: dict[str, Any], overrides: dict[str, Any]) -> Stack:
    """The stack as our side reads it. The edge is read under its own name, since what it mounts is for it alone."""
    ours = _ours(case, tree, overrides)
    name = "edge" if tree["name"] == "edge" else case.name
    return replace(parse_tree({**ours, "name": name}, case.path.name), name=case.name)


def _ours(case: Case, tree: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The tree as our side reads it: renamed as for Compose, without the author's own keys."""
    found = {key: value for key, value in tree.items() if not key.startswith("x-") or key == "x-ops"}
    for section in ("networks", "volumes"):
        if section in found:
            renamed = overrides.get(section, {})
            found[section] = {key: {**(one or {}), **renamed.get(key, {})} for key, one in found[section].items()}
    return {**found, "name": case.name}


def compose_program() -> str:
    """Where Compose is: requirements.txt brings it into the virtual environment."""
    found = shutil.which("docker-compose", path=f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}")
    if not found:
        raise OpsError("docker-compose is not there", do="run bin/setup")
    return found


@contextmanager
def engine_of(host: str, socket: Path) -> Iterator[Engine]:
    """The engine of a lab host through a socket on this machine, which SSH forwards."""
    forward = ["-N", "-o", "ExitOnForwardFailure=yes", "-L", f"{socket}:/run/docker.sock"]
    address = ssh_words(host)[-1]
    with subprocess.Popen([*ssh_words(host)[:-1], *forward, address], stdin=subprocess.DEVNULL) as tunnel:
        try:
            _wait_for(socket, tunnel)
            yield Engine(f"unix://{socket}")
        finally:
            tunnel.terminate()


def _wait_for(socket: Path, tunnel: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while not socket.exists():
        if tunnel.poll() is not None or time.monotonic() > deadline:
            raise OpsError("the engine's socket cannot be forwarded", do="make lab")
        time.sleep(0.02)
