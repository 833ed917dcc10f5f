"""Playbooks run as people run them, and what people and hosts see of it."""

from __future__ import annotations

import http.client
import json
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.bench.load import lab_authority

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "build" / "lab"
SCRIPTS = Path(__file__).with_name("on_host")
ADDRESSES = {"staging-1": "10.213.0.11", "production-1": "10.213.0.12"}
REGISTRY = "10.213.0.3:5000"
HOST, ENVIRONMENT = "production-1", "production"
GOOD, BETTER, BROKEN = "sha-19b9b98", "sha-724f892", "sha-0badbad"
REASON = "a test looks at what comes after the gate, and asks nobody to accept and approve"
GLASS = ("-e", "break_glass=true", "-e", json.dumps({"reason": REASON}))
_BUSY = "is being changed"
# As a convergence tells a step, or as the addition of a --diff.
_STEP = re.compile(
    r"^[ +]*([a-z0-9/_-]+: (?:await|connect|create|disconnect|forget|place|prepare|pull|reconnect|release|remove"
    r"|replace|start|stop) .+ \(.+\))$",
    re.MULTILINE,
)

Snapshot = dict[str, Any]


# -- playbooks ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """How a run ended: exit code, what was printed, and the report it left."""

    code: int
    text: str
    report: Mapping[str, Any] = field(repr=False)

    def outcome(self, host: str = HOST) -> dict[str, Any]:
        """What the last task that reached the host came to."""
        found: dict[str, Any] = next(
            task["hosts"][host] for task in reversed(self.report["tasks"]) if host in task["hosts"]
        )
        return found

    def told(self, host: str = HOST) -> dict[str, Any]:
        """The report of that task."""
        return dict(self.outcome(host)["report"])

    @property
    def changed(self) -> int:
        """Changed tasks, on all hosts."""
        return sum(int(counts["changed"]) for counts in self.report["hosts"].values())

    def line(self, words: str) -> str:
        """The line that says these words; the test fails with the whole text when there is none."""
        found = [line for line in self.text.splitlines() if words in line]
        assert found, f"nobody said {words!r}:\n{self.text}"
        return found[0].strip()

    def steps(self) -> list[str]:
        """What a convergence said it does, on all hosts."""
        return sorted(_STEP.findall(self.text))


def _command(playbook: str, words: Sequence[str]) -> list[str]:
    return [str(Path(sys.executable).with_name("ansible-playbook")), f"playbooks/{playbook}.yml", *words]


def play(playbook: str, *words: str, checkout: Path = ROOT, patience_s: float = 180) -> Run:
    """Run a playbook in the lab; again, for so long, while somebody else's run holds the lock of the stack."""
    end = time.monotonic() + patience_s
    while True:
        done = subprocess.run(
            _command(playbook, words), cwd=checkout, capture_output=True, text=True, timeout=300, check=False
        )
        run = _read(done.returncode, done.stdout + done.stderr, checkout)
        if _BUSY not in run.text or time.monotonic() > end:
            return run
        time.sleep(2)  # another run is at work, of which nothing here can be waited for


def _read(code: int, text: str, checkout: Path) -> Run:
    path = next((line.split(": ", 1)[1] for line in text.splitlines() if line.startswith("report: ")), "")
    return Run(code, text, json.loads((checkout / path).read_text(encoding="utf-8")) if path else {})


@contextmanager
def playing(playbook: str, *words: str, checkout: Path = ROOT) -> Iterator[subprocess.Popen[str]]:
    """A run under way; waited for at the end of the block."""
    process = subprocess.Popen(
        _command(playbook, words), cwd=checkout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.wait(timeout=180)


def ended(process: subprocess.Popen[str], checkout: Path = ROOT) -> Run:
    """How a run under way ended."""
    text, _ = process.communicate(timeout=180)
    return _read(process.returncode, text, checkout)


def converge(*words: str, **options: Any) -> Run:
    """Converge; the test fails when that does."""
    run = play("converge", *words, **options)
    assert run.code == 0, run.text
    return run


def deploy(stack: str, release: str, *words: str, **options: Any) -> Run:
    """Deploy to production. The glass is broken: what is looked at here is what comes after the gate."""
    asked = ("--limit", ENVIRONMENT, "-e", f"stack={stack}", "-e", f"release={release}")
    return play("deploy", *asked, *GLASS, *words, **options)


def roll_back(stack: str, *words: str, **options: Any) -> Run:
    """Roll back in production."""
    return play("roll_back", "--limit", ENVIRONMENT, "-e", f"stack={stack}", *words, **options)


def bring(stack: str, release: str) -> None:
    """Have production serve this release, whatever an earlier test left."""
    if snapshot(HOST, stack)["state"][stack]["release"] != release:
        run = deploy(stack, release, "-e", "again=true")  # a test may have had it taken back
        assert run.code == 0, run.text


class Checkout:
    """A checkout of one's own beside the real one, in the same lab, whose files a test may spoil."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        shutil.copy(ROOT / "ansible.cfg", folder)
        for name in (".collections", "inventories", "playbooks", "plugins", "roles", "runbooks", "meta"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
        (folder / "build").mkdir()
        (folder / "build" / "lab").symlink_to(LAB)

    def replace(self, path: str, old: str, new: str) -> None:
        """Change a text that stands exactly once in a file."""
        file = self.root / path
        text = file.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path}"
        file.write_text(text.replace(old, new), encoding="utf-8")

    def settings(self, old: str, new: str) -> None:
        """Change production's settings."""
        self.replace(f"inventories/lab/group_vars/{ENVIRONMENT}/environment.yml", old, new)


# -- hosts -------------------------------------------------------------------------------------------------------------


def ssh_words(host: str = HOST) -> list[str]:
    """The command line that reaches a host as playbooks do."""
    keys = LAB / "ssh"
    known = ["-o", f"UserKnownHostsFile={keys / 'known_hosts'}", "-o", "StrictHostKeyChecking=yes"]
    return ["ssh", "-F", "none", "-i", str(keys / "id_ed25519"), *known, "-o", "IdentitiesOnly=yes",
            f"root@{ADDRESSES[host]}"]  # fmt: skip


def on_host(command: str, host: str = HOST, text: str = "") -> str:
    """Run a command on a host; its output."""
    done = subprocess.run(
        [*ssh_words(host), command], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def snapshot(host: str = HOST, *stacks: str) -> Snapshot:
    """All that the estate left on a host of these stacks, or of all: containers, files, state, journal, names."""
    script = (SCRIPTS / "tell_state.py").read_text(encoding="utf-8")
    told: Snapshot = json.loads(on_host(f"python3 - {shlex.join(stacks)}", host, script))
    return told


def serving(told: Snapshot, stack: str) -> dict[str, Any]:
    """What of it makes up the service: containers, the edge's file, and which releases are live and on standby."""
    state = told["state"][stack]
    return {
        "containers": told["containers"],
        "edge": {path: mark for path, mark in told["files"].items() if "/edge/" in path},
        "state": {key: state[key] for key in ("live", "standby", "release", "digests")},
        "names": told["names"],
    }


def unchanged(before: Any, after: Any) -> None:
    """Fail with a line for each place at which two snapshots differ."""
    lines = _changes(before, after)
    assert not lines, "\n".join(lines)


def _changes(before: Any, after: Any, place: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted(before.keys() | after.keys())
        return [line for key in keys for line in _changes(before.get(key), after.get(key), f"{place}/{key}")]
    return [] if before == after else [f"{place}: {str(before)[-200:]} -> {str(after)[-200:]}"]


@contextmanager
def killing(stack: str, step: str, event: str) -> Iterator[None]:
    """Kill whoever holds the stack's lock when its journal says this, some time within the block.

    The step ``engine`` has the engine's own events.
    """
    with _stopper(stack, step, event) as process:
        assert process.stdin
        process.stdin.write("kill\n")
        process.stdin.flush()
        yield
        _hit(process)


@contextmanager
def standing_still(stack: str, step: str, event: str) -> Iterator[Callable[[], None]]:
    """Have whoever holds the stack's lock stand still there until the block ends; what is given waits for that."""
    with _stopper(stack, step, event) as process:
        yield lambda: _hit(process)


@contextmanager
def _stopper(stack: str, step: str, event: str) -> Iterator[subprocess.Popen[str]]:
    """What watches the host; at the end of the block whoever stands still goes on, unless it was killed."""
    script = (ROOT / "tests" / "crash" / "on_host" / "stop_at.py").read_text(encoding="utf-8")
    remote = f"python3 -c {shlex.quote(script)} {shlex.join((stack, step, event))}"
    pipe = subprocess.PIPE
    with subprocess.Popen([*ssh_words(), remote], stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.stdin.close()
            told, complaint = process.stdout.read(), process.stderr.read()
        assert told == "done\n", complaint


def _hit(process: subprocess.Popen[str]) -> None:
    assert process.stdout
    line = process.stdout.readline()
    assert re.fullmatch(r"hit [1-9]\d*\n", line), f"nobody was stopped: {line!r}"


# -- visitors and the registry -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """What a visitor got."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def release(self) -> str:
        """Who answered."""
        return self.headers.get("X-Release", "")


def visit(name: str, path: str = "/", host: str = HOST, limit_s: float = 10) -> Answer:
    """Ask as a visitor does: TLS with SNI, the certificate verified."""
    context = ssl.create_default_context(cadata=lab_authority())
    with (
        socket.create_connection((ADDRESSES[host], 443), limit_s) as raw,
        context.wrap_socket(raw, server_hostname=name) as stream,
    ):
        connection = http.client.HTTPConnection(name, timeout=limit_s)
        connection.sock = stream
        connection.request("GET", path)
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.headers), answer.read().decode())


def visit_at(name: str, address: str, timeout_s: float = 5) -> str:
    """The release that a visitor meets there; empty when there is no answer, the certificate not verified."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address, 443), timeout_s) as raw,
            context.wrap_socket(raw, server_hostname=name) as stream,
        ):
            connection = http.client.HTTPConnection(name, timeout=timeout_s)
            connection.sock = stream
            connection.request("GET", "/whoami")
            answer = connection.getresponse()
            return str(answer.headers.get("X-Release", "")) if answer.status == 200 else ""
    except (OSError, http.client.HTTPException):
        return ""


def ask_registry(
    method: str, path: str, body: bytes = b"", kind: str = "application/vnd.docker.distribution.manifest.v2+json"
) -> requests.Response:
    """Ask the lab's registry; manifests by default."""
    password = json.loads((LAB / "secrets.json").read_text())["production/registry-password"]
    accept = f"{kind}, application/vnd.oci.image.manifest.v1+json"
    answer = requests.request(
        method,
        f"https://{REGISTRY}/v2/{path}",
        data=body or None,
        headers={"Accept": accept, "Content-Type": kind},
        auth=("ops", password),
        verify=str(LAB / "ca" / "ca.pem"),
        timeout=10,
    )
    answer.raise_for_status()
    return answer


def registry_digest(name: str, tag: str) -> str:
    """The digest a tag names, by the registry's own account."""
    return str(ask_registry("GET", f"{name}/manifests/{tag}").headers["Docker-Content-Digest"])
