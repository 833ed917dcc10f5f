"""The faults: how each is prepared for, done, and taken away. What they touch is the throw-away host, and one user
group of this machine that only controllers under test run in."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from tests.bench.one_host import Failed
from tests.crash.host import CONTAINER, Stopper, inside, wait_for
from tests.lab.procedure_parts import REGISTRY

STORAGE = "10.213.0.4"
# Whatever this machine sends by this group is the controller's under test.
CONTROLLERS = 42_042
_DISK_MB = 96
_TABLE = "crash"


@dataclass(frozen=True)
class Fault:
    """``strike`` is given the standing transaction and the controller's process group; ``word`` is how the transaction
    goes on; ``heal`` takes the fault away, ``after_s`` seconds after the strike (None: when everything is at rest, or
    nothing to heal). ``before`` and ``after`` prepare and tidy
    up for all cells of it."""

    strike: Callable[[Stopper, int], None]
    word: str = "go"
    heal: Callable[[], None] = lambda: None
    after_s: float | None = None
    before: Callable[[], None] = lambda: None
    after: Callable[[], None] = lambda: None


def _nothing(_stopper: Stopper, _controller: int) -> None:
    return


def _kill_controller(_stopper: Stopper, controller: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(controller, signal.SIGKILL)


def _drop(rules: str) -> Callable[[Stopper, int], None]:
    def strike(_stopper: Stopper, _controller: int) -> None:
        inside("nft -f -", rules)

    return strike


def _undrop() -> None:
    inside(f"nft delete table inet {_TABLE} 2>/dev/null || true")


def _rules(inbound: str, outbound: str) -> str:
    # Before any other table, conntrack included: what is established is cut as well.
    hooks = "".join(
        f"chain {hook} {{\n type filter hook {hook} priority -400;\n {rule}\n}}\n"
        for hook, rule in (("input", inbound), ("output", outbound), ("forward", outbound))
    )
    return f"table inet {_TABLE} {{\n{hooks}}}\n"


def _kill_engine(_stopper: Stopper, _controller: int) -> None:
    inside("systemctl kill --signal=KILL docker.service")


def engine_is_back() -> None:
    """The engine answers again. Raises Failed."""
    with suppress(Failed):
        inside("systemctl reset-failed docker.service; systemctl start docker.service")
    if not wait_for(_engine_answers, 60):
        raise Failed("the engine did not come back within 60 s")


def _engine_answers() -> bool:
    try:
        inside("docker version >/dev/null", patience_s=10)
    except Failed:
        return False
    return True


def _power_cut(_stopper: Stopper, _controller: int) -> None:
    subprocess.run(["docker", "restart", "--time", "0", CONTAINER], check=True, capture_output=True, timeout=120)


def _fill(_stopper: Stopper, _controller: int) -> None:
    inside("cat /dev/zero > /var/lib/seisei/.full 2>/dev/null || true")


def _free() -> None:
    inside("rm -f /var/lib/seisei/.full")


def _small_disk() -> None:
    """/var/lib/seisei on a file system of its own, small enough to be filled, with what was there."""
    inside(
        "mountpoint -q /var/lib/seisei && exit 0; set -e; mkdir -p /run/small-disk; "
        f"mount -t tmpfs -o size={_DISK_MB}m,mode=755 tmpfs /run/small-disk; "
        "cp -a /var/lib/seisei/. /run/small-disk/; mount --bind /run/small-disk /var/lib/seisei; "
        "umount /run/small-disk; docker restart edge-traefik >/dev/null"
    )


def _usual_disk() -> None:
    inside(
        "mountpoint -q /var/lib/seisei || exit 0; set -e; rm -f /var/lib/seisei/.full; "
        "mkdir -p /var/lib/seisei.back; cp -a /var/lib/seisei/. /var/lib/seisei.back/; "
        "umount --lazy /var/lib/seisei; rm -rf /var/lib/seisei.was; mv /var/lib/seisei /var/lib/seisei.was; "
        "mv /var/lib/seisei.back /var/lib/seisei; rm -rf /var/lib/seisei.was; docker restart edge-traefik >/dev/null"
    )


def _storage_gone(stopper: Stopper, controller: int) -> None:
    _drop(_rules("", f"ip daddr {STORAGE} drop"))(stopper, controller)
    subprocess.run(_controllers_rule("-I"), check=True, capture_output=True)


def _storage_back() -> None:
    _undrop()
    while subprocess.run(_controllers_rule("-D"), check=False, capture_output=True).returncode == 0:
        continue


def _controllers_rule(what: str) -> list[str]:
    refuse = ["-j", "REJECT", "--reject-with", "tcp-reset"]
    return ["iptables", what, "OUTPUT", "-p", "tcp", "-d", STORAGE, "-m", "owner", "--gid-owner", str(CONTROLLERS),
            *refuse]  # fmt: skip


_SSH = _rules("tcp dport 22 drop", "tcp sport 22 drop")
_REGISTRY = _rules("", f"ip daddr {REGISTRY.partition(':')[0]} drop")

FAULTS: dict[str, Fault] = {
    "transaction": Fault(_nothing, word="kill"),
    "controller": Fault(_kill_controller),
    "connection": Fault(_drop(_SSH), heal=_undrop),
    "engine": Fault(_kill_engine, heal=engine_is_back, after_s=3.0),
    "host": Fault(_power_cut, heal=engine_is_back, after_s=0.0),
    "disk": Fault(_fill, heal=_free, after_s=8.0, before=_small_disk, after=_usual_disk),
    "registry": Fault(_drop(_REGISTRY), heal=_undrop, after_s=20.0),
    "storage": Fault(_storage_gone, heal=_storage_back, after_s=20.0),
}
