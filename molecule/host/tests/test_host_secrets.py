"""Secrets of a host through a real boot: brought back by the host alone, and only those that are sound."""

from __future__ import annotations

import base64
import io
import json
import secrets
import shlex
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Login = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[3]
CODE = "/run/probe-code"  # on tmpfs
RUN, SEALED = "/run/seisei/secrets", "/var/lib/seisei/secrets"
BOOT_SECONDS = 60
WORDS = {name: secrets.token_urlsafe(24) for name in ("PLAIN", "LINES", "BROKEN", "SWAPPED")}
VALUES = WORDS | {"LINES": f"-----BEGIN KEY-----\r\n{WORDS['LINES']}\n\n"}


def ours() -> str:
    """What a module of ours brings to a host, as text that a shell can take in."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path in (ROOT / "plugins" / "module_utils").rglob("*.py"):
            archive.add(path, path.relative_to(ROOT))
    return base64.b64encode(packed.getvalue()).decode()


@pytest.fixture(scope="module")
def do(ssh: Login) -> Callable[..., str]:
    """``do(command, text="its standard input")`` as root; what it prints."""

    def do(command: str, text: str = "") -> str:
        done = ssh("root", command=command, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return do


@pytest.fixture
def on_host(do: Callable[..., str]) -> Iterator[Callable[..., str]]:
    """``on_host(statement, text)`` runs Python that has ``here``, the secrets of the host; ours are then forgotten."""

    def on_host(statement: str, text: str = "") -> str:
        do(f"mkdir -p {CODE} && base64 -d | tar -xz -C {CODE}", ours())
        code = "import json, sys; from plugins.module_utils.gateway.host_secrets import HostSecrets; "
        return do(f"PYTHONPATH={CODE} python3 -c {shlex.quote(f'{code}here = HostSecrets(); {statement}')}", text)

    yield on_host
    on_host("here.forget('probe')")
    do(f"rm -r {CODE} && systemctl restart seisei-secrets.service")


def boot(ssh: Login) -> None:
    subprocess.run(["docker", "restart", "lab-role-1"], check=True, capture_output=True)
    deadline = time.monotonic() + BOOT_SECONDS
    while ssh("root", command="systemctl is-system-running").stdout.strip() not in ("running", "degraded"):
        assert time.monotonic() < deadline, "the host did not come back"
        time.sleep(0.2)


def test_secrets_come_back_with_a_boot_and_a_copy_that_was_touched_does_not(
    ssh: Login, do: Callable[..., str], on_host: Callable[..., str]
) -> None:
    on_host("[here.place('probe', *pair) for pair in json.load(sys.stdin).items()]", json.dumps(VALUES))
    names = json.loads(on_host("print(json.dumps(sorted(here.present()['probe'])))"))
    files = {name.rpartition(".")[0]: name for name in names}
    assert files.keys() == VALUES.keys()
    clear = ssh("root", command=f"grep -rlFf - {SEALED} /tmp /var/tmp", text="\n".join(WORDS.values()))
    assert (clear.stdout, clear.returncode) == ("", 1), "a value lies on the disk"
    assert do(f"stat --format=%a {SEALED} {SEALED}/probe/*").split() == ["700", *["600"] * len(VALUES)]

    do(f"cd {SEALED}/probe && cp {files['PLAIN']} {files['SWAPPED']}")
    do(f"cd {SEALED}/probe && sed -i '2s/^./!/' {files['BROKEN']}")
    boot(ssh)

    back = dict(line.split(" ") for line in do(f"cd {RUN}/probe && stat --format='%n %a' *").splitlines())
    assert back == {files["PLAIN"]: "444", files["LINES"]: "444"}
    for name in ("PLAIN", "LINES"):
        assert base64.b64decode(do(f"base64 {RUN}/probe/{files[name]}")).decode() == VALUES[name]
    assert do(f"stat --format=%a {RUN}").strip() == "700"
    assert ssh("root", command="systemctl is-failed seisei-secrets.service").stdout.strip() == "failed"
    told = do("journalctl --no-pager --boot --output=cat --unit=seisei-secrets.service")
    refused = [line for line in told.splitlines() if "refused" in line]
    assert [line.split(":")[0] for line in refused] == [
        f"{SEALED}/probe/{files[name]}" for name in ("BROKEN", "SWAPPED")
    ]
    assert not [word for word in WORDS.values() if word in told]
    assert json.loads(on_host("print(json.dumps(sorted(here.present()['probe'])))")) == sorted(back)


def test_the_next_convergence_mends_what_a_boot_could_not(do: Callable[..., str], on_host: Callable[..., str]) -> None:
    on_host("here.place('probe', 'PLAIN', sys.stdin.read())", VALUES["PLAIN"])
    do(f"rm -r {RUN}/probe && echo spoilt > {SEALED}/probe/$(ls {SEALED}/probe)")
    assert on_host("print(here.present().get('probe'))").strip() == "None"
    on_host("here.place('probe', 'PLAIN', sys.stdin.read())", VALUES["PLAIN"])
    do(f"rm -r {RUN}/probe && systemctl restart seisei-secrets.service")
    assert do(f"cat {RUN}/probe/*") == VALUES["PLAIN"]


def test_the_engine_waits_for_the_secrets(do: Callable[..., str]) -> None:
    assert "docker.service" in do("systemctl show --property=Before seisei-secrets.service")
    assert do("systemctl is-enabled seisei-secrets.service").strip() == "enabled"
