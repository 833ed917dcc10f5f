"""The throw-away host reached past SSH, so that it can be looked at while that is cut."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.bench.one_host import ADDRESS, NAME, STACK, Failed
from tests.lab.procedure_parts import visit_at

CONTAINER = "lab-role-1"
_SCRIPTS = Path(__file__).with_name("on_host")


def inside(command: str, text: str = "", patience_s: float = 60) -> str:
    """Run a command on the host; its output. Raises Failed."""
    words = ["docker", "exec", "--interactive", CONTAINER, "sh", "-c", command]
    try:
        done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=patience_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{command[:100]}: no answer within {patience_s:g} s") from error
    if done.returncode:
        raise Failed(f"{command[:100]}: {done.stderr.strip()[-300:] or done.returncode}")
    return done.stdout


def look() -> dict[str, Any]:
    """What the host tells of the small stack."""
    try:
        script = (_SCRIPTS / "look.py").read_text(encoding="utf-8")
        return dict(json.loads(inside(f"python3 - {STACK}", script, patience_s=30)))
    except (Failed, ValueError) as error:
        return {"error": str(error)}


def seen() -> str:
    """The release that a visitor meets; empty when nobody answers."""
    return visit_at(NAME, ADDRESS)


def forget_image(release: str) -> None:
    """Take the name away by which the host knows a release's image, so that it has to be fetched; what runs of it
    stays."""
    title, version = (
        f"label=org.opencontainers.image.title={STACK}",
        f"label=org.opencontainers.image.version={release}",
    )
    inside(
        f"for image in $(docker image ls --quiet --no-trunc --filter {title} --filter {version} | sort -u); do "
        f"docker image tag $image crash/{STACK}:{release}; "
        "docker image inspect $image --format '{{range .RepoDigests}}{{println .}}{{end}}' | "
        "xargs --no-run-if-empty docker image rm >/dev/null; done"
    )


def wait_for(hold: Callable[[], bool], limit_s: float) -> bool:
    """Whether it came to hold in time."""
    end = time.monotonic() + limit_s
    while not hold():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


class Stopper:
    """Has a transaction stand still at an event of a step, from entering the block; ends with it."""

    def __init__(self, step: str, event: str) -> None:
        script = (_SCRIPTS / "stop_at.py").read_text(encoding="utf-8")
        words = ["docker", "exec", "--interactive", CONTAINER, "python3", "-c", script, STACK, step, event]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Stopper:
        if self._line() != "ready":
            raise Failed("the host does not watch its journal")
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(timeout=10)
        with suppress(BrokenPipeError):  # a word that a host which is gone never heard
            assert self._process.stdin
            self._process.stdin.close()

    def hit(self) -> bool:
        """Wait until it stands still; False when the step did not come."""
        return self._line().startswith("hit ")

    def release(self, word: str) -> None:
        """End it (``kill``), or let it go on. A host that is gone has taken it along."""
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()
            self._line()

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()
