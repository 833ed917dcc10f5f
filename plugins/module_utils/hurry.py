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
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from .gateway.host_state import Busy
from .model.errors import OpsError

if TYPE_CHECKING:
    from .hands import Host

SIGNAL = signal.SIGUSR1
PATIENCE_S = 10.0
HOUSEKEEPING_S = 90.0  # a standby may take its whole grace to stop
# What the lock of one says that ends or mends something by itself.
HOUSEKEEPING = ("the end of what a switch left for a time", "mending of the ")
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

    What the host does by itself is waited for: nobody is there who could be told to end it, and it ends soon.
    Raises Busy at once when the holder has more to do than to tidy up.
    """
    began, told = time.monotonic(), False
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(host.state.locked(stack, what))
                break
            except Busy as busy:
                holder = str(busy)
                patience = HOUSEKEEPING_S if any(one in holder for one in HOUSEKEEPING) else 0.0
                if _asked(host, stack, holder):
                    patience = max(patience, PATIENCE_S)
                if time.monotonic() - began >= patience:
                    raise
                if patience == HOUSEKEEPING_S and not told:
                    told = True
                    host.told({"say": f"{stack}: waiting for what the host does by itself: {busy.what}"})
                time.sleep(_ASK_EVERY_S)  # the kernel's lock says by itself when it is free
        yield


def _asked(host: Host, stack: str, holder: str) -> bool:
    """Whether the holder was asked: one that only tidies up, by what is written down of it, and hears the signal.

    The same lock is held by programs that know nothing of the signal, and would die of it.
    """
    begun, pid = host.state.begun(stack), re.search(r".*pid (\d+)", holder, re.DOTALL)
    if pid is None or begun is None or host.state.state(stack).live != begun.number or not _hears(int(pid[1])):
        return False
    with suppress(ProcessLookupError):
        os.kill(int(pid[1]), SIGNAL)
    return True


def _hears(pid: int) -> bool:
    """Whether a process catches or ignores the signal, by what the kernel says (proc_pid_status(5), SigIgn, SigCgt)."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has just ended
        return False
    masks = re.findall(r"^Sig(?:Ign|Cgt):\s*([0-9a-f]+)$", status, re.MULTILINE)
    return any(int(mask, 16) >> (SIGNAL - 1) & 1 for mask in masks)
