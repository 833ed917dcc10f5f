"""The Debian hosts: made like a fresh server, reached over SSH with strict keys."""

from __future__ import annotations

import subprocess
from pathlib import Path

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container

from labkit.containers import MIB, Spec
from labkit.files import make_private_directory, write_private
from labkit.settings import DNS, HOSTS, PREFIX, ROLE_HOST, Lab, Place
from plugins.module_utils.model.errors import OpsError

_CA_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def ensure_ssh_key(lab: Lab) -> str:
    """Make the operator's key pair of this lab when it is missing; return the public key line."""
    key = make_private_directory(lab.build / "ssh") / "id_ed25519"
    if not (key.exists() and key.with_suffix(".pub").exists()):
        for leftover in (key, key.with_suffix(".pub")):
            leftover.unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"seisei-{lab.name}", "-f", str(key)]
        subprocess.run(command, check=True, capture_output=True)
    return key.with_suffix(".pub").read_text()


def host_places(*, role_host: bool) -> list[Place]:
    """The hosts of the estate, and the throw-away one when asked for."""
    return [*HOSTS.values(), *([ROLE_HOST] if role_host else [])]


def host_specs(lab: Lab, public_key: str, *, role_host: bool) -> list[Spec]:
    """The containers of the hosts."""
    write_private(lab.build / "hosts" / "resolv.conf", f"nameserver {lab.address(DNS.last)}\n", mode=0o644)
    return [_host_spec(lab, place, public_key) for place in host_places(role_host=role_host)]


def _host_spec(lab: Lab, place: Place, public_key: str) -> Spec:
    environment = {"container": "docker"}
    if not Path("/sys/fs/cgroup/cgroup.controllers").exists():
        # systemd 257 refuses the older cgroup tree unless it is told that this is known.
        environment["SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE"] = "1"
    binds = {"/etc/resolv.conf": str(lab.build / "hosts" / "resolv.conf")}
    bundle = next((path for path in _CA_BUNDLES if Path(path).exists()), None)
    if bundle:
        # Beside the host's own bundle, not over it: the host must be able to manage its own.
        binds["/etc/ssl/machine-ca-bundle.pem"] = bundle
    return Spec(
        place.part,
        f"{PREFIX}host:1",
        place.last,
        704 * MIB if place is ROLE_HOST else 1792 * MIB,
        environment=environment,
        binds=binds,
        volumes={
            "docker": "/var/lib/docker",
            "containerd": "/var/lib/containerd",
            "apt": "/var/cache/apt/archives",
        },
        kept=("apt",),
        tmpfs={"/run": "exec,mode=755", "/run/lock": "", "/tmp": "exec,mode=1777"},
        files={"/root/.ssh/authorized_keys": (0o600, public_key)},
        host=True,
    )


def boot_complaint(client: docker.DockerClient, name: str) -> str:
    """Why the host cannot be called up yet; empty when it can."""
    try:
        container = client.containers.get(name)
        if container.status != "running":
            return f"the container is {container.status}"
        _, state = run_in(container, "systemctl", "is-system-running")
        if state == "running":
            _, sshd = run_in(container, "systemctl", "is-active", "ssh.service", "ssh.socket")
            return "" if "active" in sshd.split() else "sshd does not run"
        if state == "degraded":
            _, failed = run_in(container, "systemctl", "--failed", "--no-legend", "--plain")
            return f"units failed: {'; '.join(failed.splitlines())}"
        return f"systemd says {state}"
    except (NotFound, APIError) as error:
        return str(error.explanation or error)


def write_known_hosts(client: docker.DockerClient, lab: Lab, places: list[Place]) -> None:
    """Write the hosts' own public keys, read through the engine, so that SSH can check them strictly."""
    lines = []
    for place in places:
        container = client.containers.get(lab.container(place.part))
        code, text = run_in(container, "cat", "/etc/ssh/ssh_host_ed25519_key.pub")
        if code != 0:
            raise OpsError("the host has no SSH host key", where=place.part, do="run `make lab-down`, then `make lab`")
        kind, key = text.split()[:2]
        names = ",".join((lab.address(place.last), place.dns, place.part))
        lines.append(f"{names} {kind} {key}\n")
    write_private(lab.build / "ssh" / "known_hosts", "".join(lines))


def run_in(container: Container, *command: str) -> tuple[int | None, str]:
    """Run a command in a container; its exit code and what it wrote."""
    result = container.exec_run(list(command))
    output = result.output if isinstance(result.output, bytes) else b"".join(result.output)
    return result.exit_code, output.decode().strip()
