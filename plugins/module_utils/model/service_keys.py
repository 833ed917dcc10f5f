"""Every key of a service that we implement, declared once. The chapters of the reference are the topics here.

Reference: the Compose specification, chapter "services".
"""

from __future__ import annotations

import re
from typing import Any

from . import health, limits, mount, networking, port
from .document import Node
from .refusals import SERVICE_REFUSALS
from .vocabulary import Key, Keys
from .words import at_least, one_or_more, pairs, text, words

OUR_LABELS = "ops.seisei."
RESTART_POLICIES = ("no", "always", "on-failure", "unless-stopped")
LOG_DRIVERS = ("json-file", "local", "journald")
_HOSTNAME = r"[A-Za-z0-9]([A-Za-z0-9-]{0,62})?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62})?)*"
_SIGNAL = r"(SIG)?[A-Z][A-Z0-9]*([+-]\d+)?|\d+"


def _image(node: Node) -> str:
    image = node.text()
    if image and ("@" in image or ":" not in image.rpartition("/")[2]):
        node.reject(f"'{image}' has no tag", "write <repository>:<tag>; digests are looked up and pinned for you")
    return image


def _labels(node: Node) -> dict[str, str]:
    found = pairs(node)
    for name in found:
        if name.startswith(OUR_LABELS):
            node.child(name, None).reject(f"labels that begin with {OUR_LABELS} are ours", "name it otherwise")
    return found


def _restart(node: Node) -> tuple[str, int]:
    """The policy, and how often it is tried on failure (0: without end)."""
    match = re.fullmatch(r"on-failure:([1-9]\d{0,5})", str(node.value))
    return ("on-failure", int(match[1])) if match else (node.choice(RESTART_POLICIES, "unless-stopped"), 0)


LOG_KEYS = Keys(
    Key("driver", " | ".join(LOG_DRIVERS), "Where lines go", lambda node: node.choice(LOG_DRIVERS)),
    Key("options", "mapping", "Options of the driver, which must be named", pairs),
)


def _logging(node: Node) -> dict[str, Any]:
    read = LOG_KEYS.read(node)
    if "options" in read and not read.get("driver"):
        node.reject("options need a driver", f"add driver: {', '.join(LOG_DRIVERS)}")
    return read


# The chapters of the reference page, and in them the keys.
TOPICS = {
    "What runs": (
        Key("image", "text", "The image, with a tag", _image, required=True, example="image: ${REGISTRY}/redis:7",
            note="Digests are refused: the registry is asked for the tag's, and that is what runs. A service that is"
                 " released ends in `:${RELEASE}`."),
        Key("command", "text | list", "The command, instead of the image's", words,
            example='command: [serve, --port, "8080"]'),
        Key("entrypoint", "text | list", "The entry point, instead of the image's; [] takes it away", words,
            example="entrypoint: /init"),
        Key("environment", "mapping | list", "Environment variables", pairs,
            example="environment: {LOG_LEVEL: info, WORKERS: 4}",
            note="Each has a value: nothing is taken from the operator's shell. true and false are quoted. Secrets"
                 " come as files: they would be seen in `docker inspect` here."),
        Key("working_dir", "absolute path", "Working directory, instead of the image's",
            text("/.*", "an absolute path"), example="working_dir: /srv"),
        Key("init", "true | false", "Whether a small init collects orphaned processes", Node.boolean,
            example="init: true", default="false"),
    ),
    "Who it is, and its surroundings": (
        Key("user", "text", "User, or user:group, instead of the image's",
            text(r"[^:\s]+(:[^:\s]+)?", "a user or user:group"), example='user: "1000:1000"'),
        Key("hostname", "text", "Its own host name", text(_HOSTNAME, "a host name"), example="hostname: shop"),
        Key("labels", "mapping | list", "Labels of the container", _labels, example="labels: {team: erp}",
            note="Those that begin with `ops.seisei.` are ours, and refused."),
        Key("extra_hosts", "mapping | list", "Further lines of /etc/hosts; `host-gateway` is the host's address",
            networking.extra_hosts, example='extra_hosts: ["printer=10.0.0.9", "host.internal=host-gateway"]'),
        Key("dns", "text | list", "Resolvers, instead of the host's", networking.resolvers, example="dns: [10.0.0.2]"),
        Key("dns_search", "text | list", "Search domains", one_or_more, example="dns_search: lab"),
        Key("dns_opt", "text | list", "Options of the resolver", one_or_more, example='dns_opt: ["ndots:1"]'),
        Key("sysctls", "mapping | list", "Kernel settings of its own namespaces", limits.sysctls,
            example="sysctls: {net.core.somaxconn: 1024}", note="Settings of the whole host are refused."),
    ),
    "Networks and ports": (
        Key("networks", "list | mapping", "Networks it is on", networking.networks,
            example="networks: {edge: {aliases: [shop.internal]}}", default="the stack's own network, default",
            keys=networking.ATTACHMENT_KEYS, named=True),
        Key("ports", "list",
            "Ports published on the host: [address:]published:target[/udp], ranges of equal length, or mappings",
            port.ports, example='ports: ["9000:9000", "0.0.0.0:443:8443", "[::1]:53:5353/udp"]',
            note="Without an address a port is bound to 127.0.0.1, where Compose opens it to everyone (CIS 5.14):"
                 " name 0.0.0.0 for that. Ports the engine would choose are refused, and so are ports of a released"
                 " service.", keys=port.PORT_KEYS),
        Key("expose", "list", "Ports for its networks only", port.exposed,
            example='expose: ["8069", 53/udp, 3000-3005]'),
    ),
    "Data and files": (
        Key("volumes", "list",
            "Volumes and host paths, as name:/path[:ro,nocopy] or /host/path:/path[:ro,rslave], or mappings",
            mount.volumes, field="mounts", example='volumes: ["data:/data", "/etc/ssl/certs:/etc/ssl/certs:ro"]',
            note="Volumes have a name. A host path must be there, and be a directory for data, or one of a few public"
                 " ones, read-only: every other could give the host away. Nothing is mounted shared (CIS 5.6, 5.20,"
                 " 5.32).",
            keys=mount.MOUNT_KEYS),
        Key("tmpfs", "text | list", "Memory as a file system: /path[:size=16m,mode=1777]", mount.tmpfs, field="mounts",
            example='tmpfs: ["/run:size=1m,mode=0755"]', default="64m at /tmp, while the root is read-only"),
        Key("configs", "list", "Configs of the stack, as files below /", mount.files("config", "/"), field="files",
            example="configs: [{source: ca, target: /etc/ssl/ca.pem}]", keys=mount.FILE_KEYS,
            note="Placed read-only and readable for everyone in the container: no uid, gid or mode but 0444."),
        Key("secrets", "list", "Secrets of the stack, as files below /run/secrets",
            mount.files("secret", "/run/secrets"), field="files", example="secrets: [PASSWORD]", keys=mount.FILE_KEYS,
            note="On the host they lie in memory only. Placed as configs are."),
        Key("read_only", "true | false", "Whether the root file system may only be read",
            lambda node: node.boolean(True), example="read_only: false", default="true",
            note="Compose: false. Hardened by CIS 5.13; say false to loosen."),
    ),
    "Start, health and end": (
        Key("depends_on", "list | mapping", "What must be there before it starts", health.depends_on,
            example="depends_on: {db: {condition: service_healthy}}", keys=health.DEPENDENCY_KEYS, named=True,
            note="What is waited for to be healthy has a health check; what is waited for to complete has `restart:"
                 " no` or on-failure."),
        Key("healthcheck", "mapping", "How its health is asked for", health.healthcheck, keys=health.HEALTH_KEYS,
            example="healthcheck: {test: [CMD, redis-cli, ping], interval: 5s}",
            note="It has to be declared (CIS 5.27), or given up by name: `healthcheck: {disable: true}`."),
        Key("restart", "no | always | unless-stopped | on-failure[:times]", "When the engine starts it again",
            _restart, example="restart: on-failure:5", default="unless-stopped",
            note="Compose: no. After a reboot services come back."),
        Key("stop_signal", "signal", "Signal that asks it to end, instead of the image's", text(_SIGNAL, "a signal"),
            example="stop_signal: SIGINT"),
        Key("stop_grace_period", "duration", "Time to end in before it is killed", lambda node: node.seconds(10),
            example="stop_grace_period: 1m30s", default="10s"),
        Key("logging", "mapping", "Where its output goes", _logging, keys=LOG_KEYS,
            example="logging: {driver: journald, options: {tag: shop}}", default="as the engine is set up"),
    ),
    "What it may do": (
        Key("cap_drop", "list", "Capabilities taken away", limits.capabilities, example="cap_drop: [ALL]",
            default="[ALL]",
            note="Compose: none. Hardened by CIS 5.4. What is written here replaces the default: name ALL, then give"
                 " back with cap_add; [] leaves the engine's set."),
        Key("cap_add", "list", "Capabilities given", limits.added_capabilities, example="cap_add: [NET_BIND_SERVICE]",
            note=f"Refused, for each alone leads out of the container: {', '.join(limits.REFUSED_CAPABILITIES)}."),
        Key("security_opt", "list", "Options of the kernel's security modules", limits.security_opt,
            example='security_opt: ["apparmor=shop"]', default='["no-new-privileges:true"]',
            note="Compose: none. Hardened by CIS 5.26: `no-new-privileges:true` stays whatever else is named, unless"
                 " `no-new-privileges:false` is. `seccomp=unconfined`, `apparmor=unconfined` and `label:disable` can be"
                 " named (CIS 5.2, 5.3, 5.22); status.yml then lists them. So can a profile that the host has, as"
                 " `apparmor=<profile>`, and SELinux's `label:…`. A profile of seccomp in a file is refused."),
    ),
    "What it may use": (
        Key("mem_limit", "size", "The most memory it may use", limits.memory, example="mem_limit: 1.5g",
            default="512m", note="Compose: no limit. Hardened by CIS 5.11."),
        Key("mem_reservation", "size", "Memory it should keep when the host runs short", limits.memory,
            example="mem_reservation: 64m"),
        Key("memswap_limit", "size | -1", "Memory and swap together", limits.swap, example="memswap_limit: 2g",
            default="mem_limit, so no swap", note="-1 allows as much swap as the host has."),
        Key("cpus", "number", "Processors it may use", limits.cpus, example='cpus: "0.5"', default="1",
            note="Compose: no limit. Hardened by CIS 5.12."),
        Key("pids_limit", "number", "Processes and threads there may be", limits.pids, example="pids_limit: 100",
            default="256", note="Compose: no limit. Hardened by CIS 5.29."),
        Key("shm_size", "size", "Size of /dev/shm", at_least(1, Node.size, "1b"), example="shm_size: 128m",
            default="64m"),
        Key("ulimits", "mapping", "Limits of a process: a number, or soft and hard; -1 for none", limits.ulimits,
            example="ulimits: {nofile: 65536, nproc: {soft: 100, hard: 200}}", keys=limits.ULIMIT_KEYS, named=True,
            note=f"There are: {', '.join(limits.ULIMITS)}."),
        Key("deploy", "mapping", "The same limits in Compose's other form", limits.DEPLOY_KEYS.read,
            example='deploy: {resources: {limits: {cpus: "0.5", memory: 1g, pids: 100}}}', keys=limits.DEPLOY_KEYS,
            note="Said in both forms and differently is refused, naming both places."),
    ),
}  # fmt: skip
SERVICE_KEYS = Keys(*(key for keys in TOPICS.values() for key in keys), refused=SERVICE_REFUSALS)
