"""What is done to a running container without replacing it: signals, commands, freezing; and images let go of."""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from http import HTTPStatus

with suppress(ImportError):  # the host is not provisioned yet: Engine() says so
    from docker.errors import APIError, ImageNotFound
    from docker.utils.socket import STDERR, STDOUT, frames_iter

from ..model.errors import OpsError
from .engine import POLL_S, Engine, explained

MOST_BYTES = 1024 * 1024
"""What a command in a container may write before it is listened to no more."""


def pause(engine: Engine, name: str) -> None:
    """Freeze a container; one that does not run, or is frozen already, is left as it is."""
    state = (engine.inspect(name) or {}).get("State", {})
    if state.get("Running") and not state.get("Paused"):
        with explained(f"container {name}"):
            engine.api.pause(name)


def unpause(engine: Engine, name: str) -> None:
    """Let a frozen container go on."""
    with explained(f"container {name}"):
        engine.api.unpause(name)


def signal(engine: Engine, name: str, what: str) -> None:
    """Send a signal to a container's first process; one that does not run gets none."""
    state = (engine.inspect(name) or {}).get("State", {})
    if state.get("Running") and not state.get("Paused"):
        with explained(f"container {name}"):
            engine.api.kill(name, what)


def execute(engine: Engine, name: str, command: tuple[str, ...], limit_s: float) -> str:
    """Run a command within a running container; what it wrote to its standard output.

    Raises OpsError when it ends with another code than 0, not within ``limit_s`` seconds (it then goes on), or writes
    more than ``MOST_BYTES``: a container must not fill this host's memory.
    """
    said = _Said()
    where = f"container {name}"
    with explained(where):
        run = engine.api.exec_create(name, list(command))["Id"]
        # In a thread, because the SDK waits for as long as the command takes.
        thread = threading.Thread(target=said.listen, args=(engine, run), daemon=True)
        thread.start()
        thread.join(limit_s)
        code = engine.api.exec_inspect(run)["ExitCode"] if said.ended and not said.too_much else None
    if code != 0:
        how = f"did not end within {limit_s:g} s" if code is None else f"ended with exit code {code}"
        how = f"writes more than {MOST_BYTES} bytes" if said.too_much else how
        raise OpsError(
            f"the command '{' '.join(command)}' {how}; it says: {(said.err or said.out).strip()[-400:]}",
            where=where,
            do=f"try it: docker exec {name} {' '.join(command)}",
        )
    return said.out


class _Said:
    """What a command writes, as far as it is listened to."""

    def __init__(self) -> None:
        self._parts: dict[int, bytearray] = {STDOUT: bytearray(), STDERR: bytearray()}
        self.ended = self.too_much = False

    @property
    def out(self) -> str:
        """Its standard output."""
        return self._parts[STDOUT].decode(errors="replace")

    @property
    def err(self) -> str:
        """Its standard error."""
        return self._parts[STDERR].decode(errors="replace")

    def listen(self, engine: Engine, run: str) -> None:
        """Until it ends or has said too much. The SDK's own reading has no limit, and holds all of it in memory."""
        stream = engine.api.exec_start(run, socket=True)
        try:
            for kind, part in frames_iter(stream, tty=False):  # type: ignore[no-untyped-call]
                if sum(map(len, self._parts.values())) + len(part) > MOST_BYTES:
                    self.too_much = True
                    break
                self._parts[kind] += part
            self.ended = True
        finally:
            stream.close()
            if response := getattr(stream, "_response", None):  # the SDK hangs it there, and it holds the connection
                response.close()


def prove_health(engine: Engine, name: str, limit_s: float) -> float:
    """Run a container's own health check until it passes; seconds. Without a check there is nothing to prove.

    For one that was frozen: the engine takes it for unhealthy, since no check could be run in it, until its next one.
    Raises OpsError with what the check said when it does not pass within ``limit_s``.
    """
    began = time.monotonic()
    kind, *command = ((engine.inspect(name) or {}).get("Config", {}).get("Healthcheck") or {}).get("Test") or ["NONE"]
    argv = ("/bin/sh", "-c", *command) if kind == "CMD-SHELL" else tuple(command)
    while kind in ("CMD", "CMD-SHELL"):
        left = limit_s - (time.monotonic() - began)
        try:
            execute(engine, name, argv, max(left, 1.0))
            break
        except OpsError:
            if left <= 0:
                raise
            time.sleep(POLL_S)
    return time.monotonic() - began


def remove_image(engine: Engine, image: str) -> bool:
    """Take away ``repository@digest``; False when a container still uses it, or it is gone already."""
    with explained(f"image {image}"):
        try:
            engine.api.remove_image(image)
        except ImageNotFound:
            return False
        except APIError as error:
            if error.response is not None and error.response.status_code == HTTPStatus.CONFLICT:
                return False
            raise
    return True


def must_not_run(engine: Engine, names: str) -> None:
    """Raise OpsError when a container runs whose name is like ``names``, a regular expression."""
    with explained("listing containers"):
        running = [name.lstrip("/") for entry in engine.api.containers() for name in entry["Names"]]
    for name in running:
        if re.fullmatch(names, name):
            raise OpsError(
                "a task of this stack runs already: whoever began it was cut off, and it went on",
                where=f"container {name}",
                do=f"docker logs {name} on the host says how far it is; wait for its end, or docker stop {name}; then "
                "run this again",
            )
