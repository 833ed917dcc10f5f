"""An estate of one throw-away host that carries the edge and one small stack, and nobody else's work."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import yaml

from plugins.module_utils.model.errors import OpsError
from tests.bench.load import Target, lab_authority
from tests.lab.procedure_parts import BETTER, GOOD, LAB, ROOT, Checkout

HOST, ADDRESS = "bench-1", "10.213.0.13"
STACK, NAME = "langbot", "langbot.role-1.lab"
WEB_SOCKET = "/ws"
LEDGER = "seisei-ledger-proof"
JOURNAL = f"/var/lib/seisei/stacks/{STACK}/journal.jsonl"
# The controller is another machine in real life: where it must not be in the way of hosts and visitors it stands back,
# as a session of its own (sched(7), autogroup).
STANDING_BACK = ("sh", "-c", 'echo 5 > /proc/self/autogroup 2>/dev/null; exec "$@"', "controller")
# The lab's other hosts check the health of what they run, which has nothing to do with this one. In shares of 1024.
_OTHER_HOSTS, _OTHER_SHARES = ("lab-staging-1", "lab-production-1"), 64


class Failed(Exception):
    """A command failed: nothing that was measured can be used."""


@dataclass(frozen=True)
class Played:
    """How a playbook ended: exit code, what was printed, seconds of the whole command, and the report it left."""

    code: int
    text: str
    seconds: float
    began: float
    report: Mapping[str, Any] = field(repr=False)

    def receipt(self, host: str = HOST) -> dict[str, Any]:
        """The receipt of the transaction; empty when there is none."""
        for task in reversed(self.report.get("tasks", [])):
            if host in task["hosts"]:
                return dict(task["hosts"][host].get("report") or {})
        return {}


class OneHost(Checkout):
    """A checkout whose only host is the throw-away one, and whose only stacks are the edge and a small one.

    With ``stands_back`` its commands take what hosts and visitors leave of this machine.
    """

    def __init__(self, folder: Path, *, stands_back: bool = False) -> None:
        super().__init__(folder)
        self.stands_back = stands_back
        for file in (folder / "inventories" / "stacks").glob("*.yml"):
            if file.stem not in ("edge", STACK):
                file.unlink()
        lab = folder / "inventories" / "lab"
        for group in ("staging", "production"):
            for file in (lab / "group_vars" / group).glob("*.yml"):
                file.unlink()
        # A ledger of its own: what is tried here is no part of what the estate did.
        self.has_ledger = "\nlab_ledger:" in (lab / "group_vars" / "all" / "lab.yml").read_text(encoding="utf-8")
        environment = _environment()
        if self.has_ledger:
            environment["ledger"] = f"{{{{ lab_ledger | combine({{'bucket': '{LEDGER}'}}) }}}}"
            # Without signers nothing that the host says would count, and its ledger would stay empty.
            environment["gate"] = {"allowed_signers": "{{ lab_allowed_signers }}"}
        _write(lab / "group_vars" / "bench" / "environment.yml", {"ops_environment": environment})
        children = {"bench": {"hosts": {HOST: {"ansible_host": ADDRESS}}}}
        groups = {"stack_hosts": {"children": children}, "role_hosts": {"children": children}}
        _write(lab / "hosts.yml", {"all": {"children": groups}})
        page = (folder / "runbooks" / "deploy.md").read_text(encoding="utf-8")
        # What is tried here fails on purpose, and is deployed again on purpose.
        self.again = ("-e", "again=true") if "\n  again:" in page else ()
        (folder / "empty_host.yml").write_text((ROOT / "molecule" / "empty_host.yml").read_text())

    def play(self, playbook: str, *words: str, patience_s: float = 300) -> Played:
        """Run a playbook as one types it, whatever comes of it."""
        began = time.time()
        command = self.command(playbook, *words)
        done = subprocess.run(
            command, cwd=self.root, capture_output=True, text=True, timeout=patience_s, check=False,
            start_new_session=True,
        )  # fmt: skip
        return self.ended(done.returncode, done.stdout + done.stderr, began)

    def command(self, playbook: str, *words: str) -> list[str]:
        """The command line of a playbook."""
        path = playbook if playbook.endswith(".yml") else f"playbooks/{playbook}.yml"
        before = STANDING_BACK if self.stands_back else ()
        return [*before, str(Path(sys.executable).with_name("ansible-playbook")), path, *words]

    def ended(self, code: int, text: str, began: float) -> Played:
        """How a run under way ended."""
        path = next((line.split(": ", 1)[1] for line in text.splitlines() if line.startswith("report: ")), "")
        report = json.loads((self.root / path).read_text(encoding="utf-8")) if path else {}
        return Played(code, text, round(time.time() - began, 3), began, report)

    def must(self, playbook: str, *words: str) -> Played:
        """Run a playbook that has to succeed. Raises Failed with what it said."""
        played = self.play(playbook, *words)
        if played.code:
            raise Failed(f"{playbook} {' '.join(words)}\n{played.text[-3000:]}")
        return played

    def deploy(self, release: str, *words: str) -> Played:
        """Deploy the small stack."""
        return self.play("deploy", *deploy_words(release), *self.again, *words)

    def roll_back(self, *words: str) -> Played:
        """Roll the small stack back."""
        return self.play("roll_back", "-e", f"stack={STACK}", *words)

    def prepare(self, tell: Any = print) -> None:
        """From whatever the host is to one that serves the good release, with the better one on standby."""
        tell("the throw-away host is made ready")
        lab_up()
        if self.has_ledger:
            _make_ledger()
        if not on_host("command -v docker || true").strip():
            self.must("provision")
        if self.play("converge").code:
            self.must("provision")
            self.must("converge")
        tell("both releases are brought to the host")
        for release in (BETTER, GOOD):
            played = self.deploy(release)
            if played.code:
                raise Failed(played.text[-3000:])

    def empty(self) -> None:
        """Take away what runs on the host and what is on record there. Images stay."""
        self.must("empty_host.yml")


class Journal:
    """What the host journals of the small stack from now on; ``origin`` is the wall clock's second 0 of a load.

    Hosts of the lab have this machine's clock.
    """

    def __init__(self, origin: float) -> None:
        self._origin = origin
        self._known = int(on_host(f"cat {JOURNAL} 2>/dev/null | wc -l"))

    def entries(self) -> list[dict[str, Any]]:
        """The entries, their ``at`` in seconds of the load."""
        lines = on_host(f"tail -n +{self._known + 1} {JOURNAL}").splitlines()
        return [self._placed(json.loads(line)) for line in lines]

    def _placed(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        return {**entry, "at": datetime.fromisoformat(str(entry["at"])).timestamp() - self._origin}


def deploy_words(release: str) -> tuple[str, ...]:
    """What a deploy of the small stack is told."""
    return ("-e", f"stack={STACK}", "-e", f"release={release}")


def lab_up() -> None:
    """Have the lab up with its throw-away host, asking first whether it is. Raises Failed."""
    try:
        on_host("true")
        lab_authority()
        return
    except (Failed, OpsError, subprocess.TimeoutExpired):
        pass  # what is missing is told by who brings it
    done = subprocess.run(
        [sys.executable, "molecule/lab", "up", "--role-host"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failed(done.stdout[-2000:] + done.stderr[-2000:])


def site() -> Target:
    """The small stack as visitors see it."""
    return Target(NAME, ADDRESS, lab_authority(), web_socket=WEB_SOCKET)


def ssh(*options: str) -> list[str]:
    """The command line that reaches the host."""
    keys = LAB / "ssh"
    known = ["-o", f"UserKnownHostsFile={keys / 'known_hosts'}", "-o", "StrictHostKeyChecking=yes"]
    return ["ssh", "-F", "none", "-i", str(keys / "id_ed25519"), *known, "-o", "IdentitiesOnly=yes",
            "-o", "ConnectTimeout=5", *options, f"root@{ADDRESS}"]  # fmt: skip


def on_host(command: str, text: str = "", patience_s: float = 120) -> str:
    """Run a command on the host; its output. Raises Failed."""
    done = subprocess.run(
        [*ssh(), command], input=text, capture_output=True, text=True, timeout=patience_s, check=False
    )
    if done.returncode:
        raise Failed(f"{command[:200]}\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return done.stdout


def drop(release: str) -> None:
    """Take what runs of a release, and its image, from the host."""
    short = release.removeprefix("sha-")
    labels = f"label=org.opencontainers.image.title={STACK}", f"label=org.opencontainers.image.version={release}"
    on_host(
        f"docker ps --all --quiet --filter name={STACK}-web-{short}- | xargs --no-run-if-empty docker rm --force; "
        f"docker image ls --quiet --filter {labels[0]} --filter {labels[1]}"
        " | xargs --no-run-if-empty docker image rm --force"
    )


@contextmanager
def alone() -> Iterator[None]:
    """One user of the throw-away host at a time. Raises Failed."""
    path = ROOT / "build" / ".role-host.lock"
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Failed("another measurement uses the throw-away host. Next: wait for it to end") from error
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """The lab's other hosts stand back for a while."""
    _weigh_others(_OTHER_SHARES)
    try:
        yield
    finally:
        _weigh_others(1024)


def _weigh_others(shares: int) -> None:
    command = ["docker", "update", "--cpu-shares", str(shares), *_OTHER_HOSTS]
    subprocess.run(command, capture_output=True, check=False)  # where they do not run, they take nothing


def _make_ledger() -> None:
    """The bucket of the estate's own ledger, unless it is there."""
    os.environ["AWS_SHARED_CREDENTIALS_FILE"] = str(LAB / "aws" / "credentials")
    session = boto3.Session(profile_name="lab", region_name="ap-northeast-1")
    storage = session.client("s3", endpoint_url="https://10.213.0.4:5000", verify=str(LAB / "ca" / "ca.pem"))
    if LEDGER not in [bucket["Name"] for bucket in storage.list_buckets()["Buckets"]]:
        storage.create_bucket(
            Bucket=LEDGER,
            ObjectLockEnabledForBucket=True,
            CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"},
        )


def _environment() -> dict[str, Any]:
    return {
        "name": "bench",
        "registry": "{{ lab_registry | combine({'password_secret': 'staging/registry-password'}) }}",
        "aws": "{{ lab_aws }}",
        "variables": {
            "ACME_DIRECTORY": "https://acme.lab:14000/dir",
            "ACME_EMAIL": "ops@role-1.lab",
            "LANGBOT_HOSTS": NAME,
        },
        "secrets": {},
        "baseline": {STACK: GOOD},
    }


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(dict(document), sort_keys=False), encoding="utf-8")
