"""The commands: check, up, status, down."""

from __future__ import annotations

import argparse
import fcntl
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import requests
from botocore.exceptions import BotoCoreError, ClientError
from docker.errors import DockerException

from labkit import (
    acme,
    aws,
    checks,
    containers,
    health,
    hosts,
    images,
    ledger,
    parts,
    pki,
    registry,
    secrets,
    signers,
)  # fmt: skip
from labkit.files import make_private_directory
from labkit.progress import Progress
from labkit.settings import AWS, LEDGER_BUCKET, PLACES, PREFIX, ROLE_HOST, STANDINS, Lab
from plugins.module_utils.model.errors import OpsError

_PART_SECONDS = 60


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Return the exit code: 0 done, 1 something is wrong and was said."""
    options = _parser().parse_args(arguments)
    lab = Lab(name=options.name, subnet=options.subnet)
    try:
        return int(options.run(lab, options))
    except OpsError as error:
        return _refuse(error, options)
    except (DockerException, requests.RequestException, BotoCoreError, ClientError) as error:
        where = "the Docker Engine" if isinstance(error, DockerException) else "the lab"
        return _refuse(OpsError(f"it refused ({error})", where=where, do="run `make lab` again"), options)
    except KeyboardInterrupt:
        return _refuse(OpsError("interrupted", where="the lab", do="run `make lab` again: it goes on"), options)


def _refuse(error: OpsError, options: argparse.Namespace) -> int:
    print(f"lab: {error}", file=sys.stderr)
    if options.json:
        print(json.dumps({"error": error.as_dict()}))
    return 1


def check(lab: Lab, options: argparse.Namespace) -> int:
    """Say whether this machine can run the lab, changing nothing."""
    _check(checks.connect(), lab)
    _tell({"fit": True}, "this machine can run the lab", options)
    return 0


def up(lab: Lab, options: argparse.Namespace) -> int:
    """Make the lab be there, doing only what is missing."""
    progress = Progress()
    client = checks.connect()
    _check(client, lab)
    with _locked(lab, progress):
        report = _up(client, lab, options, progress)
    _tell(report, _next_steps(lab), options)
    return 0


def status(lab: Lab, options: argparse.Namespace) -> int:
    """Tell of each part where it is and whether it does its work; exit code 1 when one does not."""
    client = checks.connect()
    known = secrets.complete(secrets.load_secrets(_secrets_file(lab)))
    found = health.examine(client, lab, known, role_host=_has_role_host(client, lab))
    lines = [f"{h.container:<26}{h.address:<20}{h.complaint or 'well'}" for h in found]
    _tell({"parts": [h.as_dict() for h in found]}, "\n".join(lines), options)
    return int(any(h.complaint for h in found))


def down(lab: Lab, options: argparse.Namespace) -> int:
    """Remove the lab and its state; with --all also what would make the next one quick."""
    progress = Progress()
    client = checks.connect()
    part = ROLE_HOST.part if options.role_host else ""
    with _locked(lab, progress):
        found = [c for c in containers.find_containers(client, lab) if not part or c.name == lab.container(part)]
        for container in found:
            containers.remove_container(container)
        volumes = containers.remove_volumes(client, lab, part=part, kept_too=options.all)
        if not part:
            containers.remove_network(client, lab)
        if options.all:
            _forget(client, lab)
    report: dict[str, object] = {"containers": [c.name for c in found], "volumes": volumes}
    _tell(report, f"The lab lost {len(found)} containers and {len(volumes)} volumes.", options)
    return 0


def _check(client: docker.DockerClient, lab: Lab) -> None:
    built = len(containers.find_containers(client, lab)) >= len(PLACES)
    complaints = checks.judge(checks.observe(client), lab, built=built)
    if complaints:
        raise complaints[0] if len(complaints) == 1 else OpsError("\n".join(str(c) for c in complaints))


def _up(client: docker.DockerClient, lab: Lab, options: argparse.Namespace, progress: Progress) -> dict[str, object]:
    role_host = options.role_host or _has_role_host(client, lab)
    with progress.phase("keys and secrets"):
        known = _prepare_files(lab)
        specs = [*parts.part_specs(lab), *hosts.host_specs(lab, hosts.ensure_ssh_key(lab), role_host=role_host)]
    with progress.phase("images"):
        base = images.ensure_base(client, progress)
        wanted = images.part_images(lab, progress)
        applications = images.standin_images() if (STANDINS / "build.json").exists() else []
        replaced = images.ensure_images(client, [*wanted, *applications], base, progress)
    with progress.phase("containers"):
        containers.ensure_network(client, lab)
        for spec in specs:
            if containers.ensure_container(client, lab, spec):
                progress.say(f"{lab.container(spec.part)}: started at {lab.address(spec.last)}")
    with progress.phase("shared parts answer"):
        _wait(client, lab, known, role_host=role_host)
        hosts.write_known_hosts(client, lab, hosts.host_places(role_host=role_host))
        signers.write_signers(lab)
        for host in acme.forget_old_certificates(client, lab, role_host=role_host):
            progress.say(f"{host}: the certificate authority is a new one, so its edge orders certificates anew")
    with progress.phase("object storage and secrets"):
        if made := aws.seed(lab, known):
            progress.say(f"{lab.container(AWS.part)}: made {len(made)} that were missing ({', '.join(made[:3])} …)")
        if f"bucket {LEDGER_BUCKET}" in made:
            for who in ledger.forget_old_ledger(client, lab, role_host=role_host):
                progress.say(f"{who}: the ledger is a new one, and the old one is forgotten")
    with progress.phase("registry"):
        tags = [f"{PREFIX}{tag}" for tag in (*images.STACK_IMAGES.values(), "traefik:3.7")]
        tags += [image.tag for image in applications]
        digests = registry.push_images(client, lab, tags, known["staging/registry-password"], progress)
    images.discard(client, replaced)
    return {"seconds": round(progress.elapsed, 2), "phases": progress.phases, "images": digests}


def _prepare_files(lab: Lab) -> dict[str, str]:
    make_private_directory(lab.build)
    lab.build.chmod(0o700)
    known = secrets.load_or_make_secrets(_secrets_file(lab))
    authority = pki.load_or_make_authority(lab.build / "ca")
    parts.write_part_files(lab, authority, known)
    aws.write_credentials(lab, known)
    return known


def _wait(client: docker.DockerClient, lab: Lab, known: dict[str, str], *, role_host: bool) -> None:
    for place, probe in health.probes(client, lab, known, role_host=role_host).items():
        name = lab.container(place.part)
        containers.wait_until(probe, name, _PART_SECONDS, do=f"look at `docker logs {name}`")


def _forget(client: docker.DockerClient, lab: Lab) -> None:
    if lab.build.exists():
        shutil.rmtree(lab.build)
    if lab.name == Lab.name:
        images.remove_all(client)


def _has_role_host(client: docker.DockerClient, lab: Lab) -> bool:
    return any(c.name == lab.container(ROLE_HOST.part) for c in containers.find_containers(client, lab))


def _secrets_file(lab: Lab) -> Path:
    return lab.build / "secrets.json"


def _next_steps(lab: Lab) -> str:
    return (
        f"The lab is up. Next: `ansible-playbook playbooks/provision.yml`, or look with `python molecule/lab status`.\n"
        f"Its secrets are in build/{lab.name}/secrets.json, its certificate authority in build/{lab.name}/ca/ca.pem."
    )


def _tell(report: dict[str, object], text: str, options: argparse.Namespace) -> None:
    print(json.dumps(report, indent=2) if options.json else text)


@contextmanager
def _locked(lab: Lab, progress: Progress) -> Iterator[None]:
    """Let one command at a time change this lab; the lock goes with its process, however that ends."""
    path = lab.build.with_name(f".{lab.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("another command is changing the lab: waiting for it")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python molecule/lab", description="The lab of the estate on this machine.")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, run in (("check", check), ("up", up), ("status", status), ("down", down)):
        command = commands.add_parser(name, help=(run.__doc__ or "").splitlines()[0])
        command.set_defaults(run=run)
        command.add_argument("--json", action="store_true", help="print the result as JSON")
        command.add_argument("--name", default=Lab.name, help="name of the lab, for a second one beside the first")
        command.add_argument("--subnet", default=Lab.subnet, help="its subnet")
        if name == "up":
            command.add_argument("--role-host", action="store_true", help="with the throw-away host role-1")
        if name == "down":
            which = command.add_mutually_exclusive_group()
            which.add_argument("--role-host", action="store_true", help="only the throw-away host role-1")
            which.add_argument("--all", action="store_true", help="also images, package caches, keys and secrets")
    return parser
