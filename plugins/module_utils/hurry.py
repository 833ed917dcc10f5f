"""A release that is live and only waits for the old one's last requests does not keep anybody from going back.

Whoever wants the stack says so by a signal to the holder of its lock. The holder hears it in a step that may be cut
short, and at no other time: then it leaves what it had still to tidy up, and lets go.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING

from .gateway.host_state import Busy
from .model.errors import OpsError

if TYPE_CHECKING:
    from .hands import Host

SIGNAL = signal.SIGUSR1
PATIENCE_S = 10.0
_ASK_EVERY_S = 0.1


class Hurried(OpsError):
    """Somebody wants the stack."""

    def __init__(self) -> None:
        super().__init__("tidying up was cut short, since the release is left again")


def deaf() -> None:
    """From now on the signal does nothing to this process, save in a step that may be cut short."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(SIGNAL, signal.SIG_IGN)


@contextmanager
def may_be_cut_short() -> Iterator[None]:
    """Within the block the signal raises Hurried. Only a process's main thread can hear one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(SIGNAL, _hear)
    try:
        yield
    finally:
        signal.signal(SIGNAL, before)


def _hear(_number: int, _frame: FrameType | None) -> None:
    signal.signal(SIGNAL, signal.SIG_IGN)  # said once is enough
    raise Hurried


@contextmanager
def locked_soon(host: Host, stack: str, what: str) -> Iterator[None]:
    """The stack's lock; whoever holds it and has its release live already is asked to let go.

    Raises Busy at once when the holder has more to do than to tidy up.
    """
    deadline = time.monotonic() + PATIENCE_S
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(host.state.locked(stack, what))
                break
            except Busy as busy:
                if not _asked(host, stack, str(busy)) or time.monotonic() > deadline:
                    raise
                time.sleep(_ASK_EVERY_S)  # the kernel's lock says by itself when it is free
        yield


def _asked(host: Host, stack: str, holder: str) -> bool:
    """Whether the holder was asked: one that only tidies up, by what is written down of it."""
    begun, pid = host.state.begun(stack), re.search(r".*pid (\d+)", holder, re.DOTALL)
    if pid is None or begun is None or host.state.state(stack).live != begun.number:
        return False
    with suppress(ProcessLookupError):
        os.kill(int(pid[1]), SIGNAL)
    return True
