"""Errands of a run: a process beside it that asks the secrets store and the registry once for all hosts.

Ansible forks a process for each task and host, so what one of them learns the next has to ask again. The process here
is forked from the run's own before any of them, so that all can reach it; it loads both SDKs while Ansible reads the
inventory, keeps what it learns in memory only, and ends with the run. Without it everything is asked directly.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import threading
from collections.abc import Iterable
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any

from ..model.environment import Aws, Registry
from ..model.errors import OpsError
from .outside import Outside

_BACKLOG = 128  # callers that may wait while the SDKs are loaded
_GONE = (OSError, EOFError, AuthenticationError)


class Errands:
    """Asks the process beside the run, or by itself when that does not answer."""

    def __init__(self, path: str, key: bytes) -> None:
        self._path = path
        self._key = key
        self._outside = Outside()

    def values(self, aws: Aws, ids: Iterable[str]) -> dict[str, str]:
        """As :meth:`Outside.values`."""
        return self._ask("values", aws, tuple(ids))

    def digests(self, registry: Registry, password: str, images: Iterable[str]) -> dict[str, str]:
        """As :meth:`Outside.digests`."""
        return self._ask("digests", registry, password, tuple(images))

    def _ask(self, errand: str, *given: Any) -> dict[str, str]:
        try:
            with Client(self._path, authkey=self._key) as line:
                line.send((errand, given))
                found, refused = line.recv()
        except _GONE:
            return _run(self._outside, errand, given)
        if refused:
            raise OpsError(refused["what"], where=refused["where"], do=refused["do"])
        return dict(found)


_beside: list[Errands] = []  # of this run; workers inherit it


def outside() -> Errands | Outside:
    """Whom to ask."""
    return _beside[0] if _beside else Outside()


def start(folder: Path) -> None:
    """Start the process, once, from the process of the run. ``folder`` is private to the run and goes with it."""
    if _beside:
        return
    path, key = str(folder / "errands"), secrets.token_bytes(32)
    ended, running = os.pipe()  # nobody writes: reading ends when the run and all that it forked have ended
    if os.fork() == 0:
        os.close(running)
        _be_beside(path, key, ended)
    os.close(ended)
    _beside.append(Errands(path, key))


def _be_beside(path: str, key: bytes, ended: int) -> None:
    """The life of the process: never returns to the run's own code."""
    try:
        listener = Listener(path, family="AF_UNIX", backlog=_BACKLOG, authkey=key)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run is interrupted, and ends this by ending
        _let_go_of_the_terminal()
        threading.Thread(target=_end_with_the_run, args=(ended,), daemon=True).start()
        known = Outside()
        with contextlib.suppress(ImportError):
            _warm()
        while True:
            with contextlib.suppress(*_GONE):
                threading.Thread(target=_answer, args=(listener.accept(), known), daemon=True).start()
    finally:
        os._exit(0)


def _let_go_of_the_terminal() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)


def _end_with_the_run(ended: int) -> None:
    os.read(ended, 1)
    os._exit(0)


def _warm() -> None:
    from . import registry, secret_store  # noqa: F401, PLC0415 - to have them loaded

    secret_store.warm()


def _answer(line: Connection, known: Outside) -> None:
    with contextlib.suppress(*_GONE), line:
        errand, given = line.recv()
        try:
            line.send((_run(known, errand, given), {}))
        except OpsError as error:
            line.send(({}, error.as_dict()))


def _run(known: Outside, errand: str, given: tuple[Any, ...]) -> dict[str, str]:
    return known.values(*given) if errand == "values" else known.digests(*given)
