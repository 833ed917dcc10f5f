"""How tests provision the lab's throw-away host: never one that carries stacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SSH = ROOT / "build" / "lab" / "ssh"
HOST = "10.213.0.13"
STRICT = f"-o UserKnownHostsFile={SSH / 'known_hosts'} -o GlobalKnownHostsFile=/dev/null -o IdentitiesOnly=yes"
# A connection that an earlier run left open would be taken without asking for key or host key.
FRESH = {"ANSIBLE_SSH_ARGS": "-o ControlMaster=no -o ControlPath=none"}
INVENTORY = ("-i", "molecule/inventory", "-i", "tests/lab/data/role_host.yml")


def provision(*options: str, fresh: bool = False) -> subprocess.CompletedProcess[str]:
    """Run the playbook, by default on the throw-away host; ``fresh`` makes new connections."""
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), *options, "playbooks/provision.yml"]
    environment = os.environ | (FRESH if fresh else {})
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180, env=environment)


def make_ready() -> None:
    """Bring the throw-away host up, and to what its inventory says."""
    subprocess.run([sys.executable, "molecule/lab", "up", "--role-host"], cwd=ROOT, check=True, capture_output=True)
    done = provision(*INVENTORY)
    assert done.returncode == 0, done.stdout


def on_host(command: str) -> str:
    """What ``command`` prints on the host, as root."""
    argv = ["ssh", "-F", "none", *STRICT.split(), "-i", str(SSH / "id_ed25519"), f"root@{HOST}", command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout
