"""What a service may use of its host, in Compose's flat form and below ``deploy.resources``, and what it may do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .document import Node, nearest
from .vocabulary import Key, Keys, Refusal
from .words import at_least, pairs

_LEAST_MEMORY = 6 * 1024**2
NO_NEW_PRIVILEGES = "no-new-privileges:true"
CAPABILITIES = (
    "AUDIT_CONTROL", "AUDIT_READ", "AUDIT_WRITE", "BLOCK_SUSPEND", "BPF", "CHECKPOINT_RESTORE", "CHOWN",
    "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "IPC_LOCK", "IPC_OWNER", "KILL", "LEASE",
    "LINUX_IMMUTABLE", "MAC_ADMIN", "MAC_OVERRIDE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST",
    "NET_RAW", "PERFMON", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_CHROOT",
    "SYS_MODULE", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RAWIO", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG",
    "WAKE_ALARM",
)  # fmt: skip
# Each of these alone leads out of the container, so it is what `privileged` would be.
REFUSED_CAPABILITIES = (
    "ALL", "BPF", "DAC_READ_SEARCH", "MAC_ADMIN", "MAC_OVERRIDE", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_RAWIO",
    "SYS_TIME",
)  # fmt: skip
ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip
# The settings that belong to a container's own namespaces; the engine refuses every other.
_SYSCTL = r"net\.[\w.\-/]+|fs\.mqueue\.\w+|kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)"
_SECURITY = (
    r"no-new-privileges([:=](true|false))?|(seccomp|apparmor)[:=]unconfined|apparmor[:=][\w.-]+|label[:=][\w.:-]+"
)

memory = at_least(_LEAST_MEMORY, Node.size, "6m")
cpus = at_least(0.01, Node.number, "0.01")


def pids(node: Node) -> int:
    """How many processes and threads there may be."""
    return node.integer(256, least=1)


def swap(node: Node) -> int:
    """Memory and swap together; -1: as much swap as the host has."""
    return -1 if node.value in (-1, "-1") else int(memory(node))


LIMIT_KEYS = Keys(
    Key("cpus", "number", "As the flat cpus", cpus, example='"0.5"'),
    Key("memory", "size", "As the flat mem_limit", memory, field="mem_limit"),
    Key("pids", "number", "As the flat pids_limit", pids, field="pids_limit"),
)
RESERVATION_KEYS = Keys(
    Key("memory", "size", "As the flat mem_reservation", memory, field="mem_reservation"),
    refused={"cpus": Refusal("no engine reserves processors", "set cpu limits instead"),
             "devices": Refusal("devices are the host's", "run what needs them on a host of its own")},
)  # fmt: skip
RESOURCE_KEYS = Keys(
    Key("limits", "mapping", "What it may use at most", LIMIT_KEYS.read, keys=LIMIT_KEYS),
    Key("reservations", "mapping", "What is kept for it", RESERVATION_KEYS.read, keys=RESERVATION_KEYS),
)
DEPLOY_KEYS = Keys(
    Key("resources", "mapping", "Limits and reservations", RESOURCE_KEYS.read, keys=RESOURCE_KEYS),
    refused={name: Refusal("it speaks of a cluster, and a stack lives on one host", do) for name, do in (
        ("replicas", "a service is one container"), ("mode", "a service is one container"),
        ("placement", "name the host in the inventory"), ("restart_policy", "say restart"),
        ("update_config", "a release switches by x-ops"), ("rollback_config", "use playbooks/roll_back.yml"),
        ("labels", "say labels on the service"), ("endpoint_mode", "take it away"),
    )},
)  # fmt: skip
_PLACES = {"mem_limit": "limits.memory", "cpus": "limits.cpus", "pids_limit": "limits.pids",
           "mem_reservation": "reservations.memory"}  # fmt: skip


def join_deploy(node: Node, read: dict[str, Any]) -> None:
    """Put what ``deploy.resources`` says to the flat keys' fields; two that differ are an error at both places."""
    resources = read.pop("deploy", {}).get("resources", {})
    for field, value in ((f, v) for part in resources.values() for f, v in part.items()):
        if field in read and read[field] != value:
            flat = node.child(field, None)
            place = node.child("deploy", None).child("resources", None)
            for key in _PLACES[field].split("."):
                place = place.child(key, None)
            place.reject(f"differs from {field} at {flat.where}", "say it in one of the two places")
        read.setdefault(field, value)


def check_memory(node: Node, mem_limit: int, reservation: int, with_swap: int) -> None:
    """Collect an error for amounts of memory that contradict each other (the engine would refuse them)."""
    if reservation > mem_limit:
        node.child("mem_reservation", None).reject("reserves more than mem_limit", "raise mem_limit, or reserve less")
    if 0 < with_swap < mem_limit:
        node.child("memswap_limit", None).reject(
            "is less than mem_limit, which it includes", "raise it, or leave it away"
        )


def ulimits(node: Node) -> dict[str, tuple[int, int]]:
    """Read ``ulimits``: one number for both, or soft and hard; -1 for no limit."""
    return {name: _ulimit(value) for name, value in node.mapping().items()}


ULIMIT_KEYS = Keys(
    Key("soft", "number", "Where a process starts", lambda node: node.integer(least=-1), required=True),
    Key("hard", "number", "How far it may raise it", lambda node: node.integer(least=-1), required=True),
)


def _ulimit(node: Node) -> tuple[int, int]:
    if node.path[-1] not in ULIMITS:
        node.reject(f"there is no limit '{node.path[-1]}'", f"there are: {', '.join(ULIMITS)}")
    if not isinstance(node.value, Mapping):
        both = node.integer(least=-1)
        return both, both
    read = ULIMIT_KEYS.read(node)
    if len(read) < len(ULIMIT_KEYS):
        node.reject("needs soft and hard", "write both, or one number for both")
    soft, hard = read.get("soft", 0), read.get("hard", 0)
    if len(read) == len(ULIMIT_KEYS) and hard != -1 and not -1 < soft <= hard:
        node.reject(f"the soft limit {soft} is above the hard one, {hard}", "lower soft, or raise hard")
    return soft, hard


def sysctls(node: Node) -> dict[str, str]:
    """Read ``sysctls``, a mapping or a list; only those of a container's own namespaces."""
    found = pairs(node)
    for name in found:
        if name and not re.fullmatch(_SYSCTL, name):
            node.reject(
                f"'{name}' is a setting of the whole host", "set it on the host, by its role; net.* can be said here"
            )
    return found


def capabilities(node: Node) -> tuple[str, ...]:
    """Read ``cap_drop``: names of capabilities, or ALL."""
    for item in node.items():
        name = _capability(item)
        if name and name not in (*CAPABILITIES, "ALL"):
            guess = nearest(name, CAPABILITIES)
            item.reject(
                f"there is no capability '{item.value}'", f"did you mean '{guess}'?" if guess else _CAPABILITY_DO
            )
    return node.texts()


def added_capabilities(node: Node) -> tuple[str, ...]:
    """Read ``cap_add``. Those that lead out of the container are refused."""
    for item in node.items():
        if _capability(item) in REFUSED_CAPABILITIES:
            item.reject(f"{item.value} gives the host away, as privileged would", "add the one capability it needs")
    return capabilities(node)


def _capability(node: Node) -> str:
    return node.value.upper().removeprefix("CAP_") if isinstance(node.value, str) else ""


_CAPABILITY_DO = "write it as capabilities(7) does, such as NET_BIND_SERVICE"


def security_opt(node: Node) -> tuple[str, ...]:
    """Read ``security_opt``. No new privileges stays, unless the contrary is named."""
    read = (item.text(pattern=_SECURITY, hint="an accepted option", do=_SECURITY_DO) for item in node.items())
    said = [_as_the_engine_says(option) for option in read if option]
    kept = () if any(option.startswith("no-new-privileges") for option in said) else (NO_NEW_PRIVILEGES,)
    return tuple(dict.fromkeys((*kept, *said)))


def _as_the_engine_says(option: str) -> str:
    if option == "no-new-privileges":
        return NO_NEW_PRIVILEGES
    return option.replace("=", ":", 1) if option.startswith("no-new-privileges") else option


_SECURITY_DO = (
    "no-new-privileges:false, seccomp=unconfined, apparmor=unconfined or =<profile>, and label=… can be said; "
    "a profile of seccomp in a file cannot"
)
