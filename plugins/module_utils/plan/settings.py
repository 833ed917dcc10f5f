"""What the engine says of a container, in the words of the stack file: pure, and one translator for both sides.

What is wanted takes the same road as what is observed: :func:`settings_wanted` works out what the engine would say of a
container made from our create payload, and hands that to :func:`settings_of`. So a difference is told at the level of a
field with its values, and it is one that the engine really has, whoever made the container and whatever its labels say.

Taken away on both sides is what nobody declared: the image's own defaults, and the daemon's. The rest says what a
stack file would have to say to get this container.

Read from the inspect of engines 20.10 to 28, where "not set" is null, an empty list, an empty mapping or no key at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..model.container import LABEL, USUAL_SHARES
from .differences import ANY
from .mount_settings import mount_settings
from .notation import NANO, mapping_at, size, span

_SHM_SIZE = 64 * 1024**2
_GRACE_S = 10

# What no stack file can say, and a container made by hand may have: our word, and where the engine keeps it.
# Not among them is what each daemon chooses for itself: the runtime, and the cgroup namespace.
_NOBODY_SETS = {
    "privileged": ("HostConfig", "Privileged"),
    "pid": ("HostConfig", "PidMode"),
    "uts": ("HostConfig", "UTSMode"),
    "userns_mode": ("HostConfig", "UsernsMode"),
    "devices": ("HostConfig", "Devices"),
    "device_cgroup_rules": ("HostConfig", "DeviceCgroupRules"),
    "device_requests": ("HostConfig", "DeviceRequests"),
    "group_add": ("HostConfig", "GroupAdd"),
    "volumes_from": ("HostConfig", "VolumesFrom"),
    "links": ("HostConfig", "Links"),
    "cgroup_parent": ("HostConfig", "CgroupParent"),
    "cpu_quota": ("HostConfig", "CpuQuota"),
    "cpu_rt_runtime": ("HostConfig", "CpuRealtimeRuntime"),
    "cpuset": ("HostConfig", "CpusetCpus"),
    "blkio_weight": ("HostConfig", "BlkioWeight"),
    "oom_kill_disable": ("HostConfig", "OomKillDisable"),
    "oom_score_adj": ("HostConfig", "OomScoreAdj"),
    "storage_opt": ("HostConfig", "StorageOpt"),
    "auto_remove": ("HostConfig", "AutoRemove"),
    "publish_all": ("HostConfig", "PublishAllPorts"),
    "domainname": ("Config", "Domainname"),
    "tty": ("Config", "Tty"),
    "stdin_open": ("Config", "OpenStdin"),
}


def settings_of(
    inspect: Mapping[str, Any], image: Mapping[str, Any], daemon: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The settings of a container from its inspect; ``image`` is that of the image it was made from, ``{}`` if gone.

    ``daemon`` is the content of daemon.json, whose defaults stand in every container's inspect; None when not known.
    """
    config, host = mapping_at(inspect, "Config"), mapping_at(inspect, "HostConfig")
    own = mapping_at(image, "Config")
    found = {
        **_process(config, own),
        "image": config.get("Image", ""),
        "hostname": "" if config.get("Hostname") == str(inspect.get("Id", ""))[:12] else config.get("Hostname", ""),
        "environment": _beyond(_environment(config), _environment(own)),
        "labels": _foreign(_beyond(mapping_at(config, "Labels"), mapping_at(own, "Labels"))),
        "ports": _ports(host),
        "expose": sorted(
            set(mapping_at(config, "ExposedPorts")) - set(mapping_at(own, "ExposedPorts")) - set(_ports(host))
        ),
        **mount_settings(config, host, own),
        "network": "bridge" if host.get("NetworkMode") == "default" else host.get("NetworkMode", ""),
        "networks": _aliases(inspect),
        **_lifecycle(config, host, own),
        **_limits(host),
        **_confinement(host),
        **_name_service(host),
        "sysctls": dict(mapping_at(host, "Sysctls")),
        "ulimits": _beyond(_ulimits(host), _default_ulimits(daemon or {})),
        "logging": _logging(host, daemon),
        "cpu_shares": _shares(host),
        **{word: _or_empty(inspect, place) for word, place in _NOBODY_SETS.items()},
    }
    if healthcheck := found["healthcheck"]:
        found["healthcheck"] = _without_unknown(healthcheck, inspect)
    return {key: value for key, value in found.items() if value not in ("", [], {}, None)}


def settings_wanted(
    payload: Mapping[str, Any],
    image: Mapping[str, Any],
    daemon: Mapping[str, Any] | None = None,
    networks: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, Any]:
    """The settings that a container made from this create payload and image will have.

    ``networks`` are its networks with their aliases, which the payload does not hold; None leaves them uncompared.
    """
    found = settings_of(_as_inspected(payload, image, daemon or {}, networks or {}), image, daemon)
    if daemon is None:
        for section in ("ulimits", "logging"):
            found[section] = {**found.get(section, {}), ANY: ANY}
    return found


# -- from inspect to settings ------------------------------------------------------------------------------------------


def _process(config: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What the first process is. An entrypoint of one's own takes the image's command away, as in the engine's merge.

    Words are a tuple, because an empty one is not "not set": the image's own was taken away.
    """
    command, entrypoint = list(config.get("Cmd") or ()), list(config.get("Entrypoint") or ())
    found: dict[str, Any] = {
        "user": _beside(config, own, "User"),
        "working_dir": _beside(config, own, "WorkingDir"),
    }
    inherited = list(own.get("Cmd") or ())
    if entrypoint != list(own.get("Entrypoint") or ()):
        found["entrypoint"] = tuple(entrypoint)
        inherited = [] if entrypoint else inherited
    if command != inherited:
        found["command"] = tuple(command)
    return found


def _shares(host: Mapping[str, Any]) -> int | None:
    """The weight for processors, where it is not the usual one."""
    found = int(host.get("CpuShares") or USUAL_SHARES)
    return None if found == USUAL_SHARES else found


def _beside(config: Mapping[str, Any], own: Mapping[str, Any], key: str) -> str:
    """A text that differs from the image's own."""
    value = config.get(key) or ""
    return "" if value == (own.get(key) or "") else str(value)


def _lifecycle(config: Mapping[str, Any], host: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    policy = mapping_at(host, "RestartPolicy")
    name, retries = policy.get("Name") or "no", policy.get("MaximumRetryCount") or 0
    grace = config.get("StopTimeout")
    healthcheck, images = _healthcheck(config), _healthcheck(own)
    return {
        "restart": f"{name}:{retries}" if retries else name,
        "init": bool(host.get("Init")),
        "stop_signal": _beside(config, own, "StopSignal"),
        "stop_grace_period": span(_GRACE_S if grace is None else grace),
        "healthcheck": None if healthcheck == images else healthcheck,
    }


def _healthcheck(config: Mapping[str, Any]) -> dict[str, Any] | None:
    check = mapping_at(config, "Healthcheck")
    if not check.get("Test"):
        return None
    if check["Test"][0] == "NONE":
        return {"test": ("NONE",)}

    def lasting(key: str, default: float) -> str:
        return span((check.get(key) or 0) / NANO or default)

    return {
        "test": tuple(check["Test"]),
        "interval": lasting("Interval", 30),
        "timeout": lasting("Timeout", 30),
        "retries": check.get("Retries") or 3,
        "start_period": lasting("StartPeriod", 0),
        "start_interval": lasting("StartInterval", 5),
    }


def _without_unknown(healthcheck: Mapping[str, Any], inspect: Mapping[str, Any]) -> dict[str, Any]:
    """Engines before 25 drop the start interval unseen; they do not know names in the DNS of a network either."""
    endpoints = mapping_at(mapping_at(inspect, "NetworkSettings"), "Networks").values()
    old = any(endpoints) and not any("DNSNames" in endpoint for endpoint in endpoints)
    return {key: value for key, value in healthcheck.items() if not (old and key == "start_interval")}


def _limits(host: Mapping[str, Any]) -> dict[str, Any]:
    pids = host.get("PidsLimit") or 0
    shm = host.get("ShmSize") or _SHM_SIZE
    swap = host.get("MemorySwap") or 0
    return {
        "mem_limit": size(host.get("Memory")),
        "mem_reservation": size(host.get("MemoryReservation")),
        "memswap_limit": "" if swap == (host.get("Memory") or 0) else "unlimited" if swap < 0 else size(swap),
        "cpus": f"{host['NanoCpus'] / NANO:g}" if host.get("NanoCpus") else "",
        "pids_limit": str(pids) if pids > 0 else "",
        "shm_size": "" if shm == _SHM_SIZE else size(shm),
    }


def _confinement(host: Mapping[str, Any]) -> dict[str, Any]:
    masked = host.get("MaskedPaths")
    ipc = str(host.get("IpcMode") or "")
    return {
        "read_only": bool(host.get("ReadonlyRootfs")),
        "cap_add": _capabilities(host, "CapAdd"),
        "cap_drop": _capabilities(host, "CapDrop"),
        "security_opt": sorted(_security_option(option) for option in host.get("SecurityOpt") or ()),
        # private or shareable is the daemon's to choose; the host's or another container's is not.
        "ipc": ipc if ipc == "host" or ipc.startswith("container:") else "",
        # With --security-opt systempaths=unconfined /proc and /sys lie open, and nothing else says so.
        "systempaths": "unconfined" if masked == [] else "",
    }


def _capabilities(host: Mapping[str, Any], key: str) -> list[str]:
    return sorted(str(name).upper().removeprefix("CAP_") for name in host.get(key) or ())


def _security_option(option: str) -> str:
    """``no-new-privileges``, ``no-new-privileges:true`` and ``no-new-privileges=true`` are one."""
    name, mark, value = re.sub(r"^([a-z-]+):", r"\1=", option).partition("=")
    return f"{name}={value if mark else 'true'}"


def _name_service(host: Mapping[str, Any]) -> dict[str, Any]:
    hosts: dict[str, list[str]] = {}
    for entry in host.get("ExtraHosts") or ():
        name, _, address = str(entry).partition(":")
        hosts.setdefault(name, []).append(address.strip("[]"))
    return {
        "dns": list(host.get("Dns") or ()),
        "dns_search": list(host.get("DnsSearch") or ()),
        "dns_opt": sorted(host.get("DnsOptions") or ()),
        "extra_hosts": {name: ", ".join(sorted(addresses)) for name, addresses in hosts.items()},
    }


def _ulimits(host: Mapping[str, Any]) -> dict[str, str]:
    return {entry["Name"]: f"{entry['Soft']}:{entry['Hard']}" for entry in host.get("Ulimits") or ()}


def _default_ulimits(daemon: Mapping[str, Any]) -> dict[str, str]:
    return _ulimits({"Ulimits": list(mapping_at(daemon, "default-ulimits").values())})


def _logging(host: Mapping[str, Any], daemon: Mapping[str, Any] | None) -> dict[str, str]:
    config = mapping_at(host, "LogConfig")
    found = {**({"driver": str(config["Type"])} if config.get("Type") else {}), **mapping_at(config, "Config")}
    return {} if daemon is not None and found == _default_logging(daemon) else found


def _default_logging(daemon: Mapping[str, Any]) -> dict[str, str]:
    return {"driver": str(daemon.get("log-driver") or "json-file"), **mapping_at(daemon, "log-opts")}


def _environment(config: Mapping[str, Any]) -> dict[str, str]:
    pairs = (str(entry).partition("=") for entry in config.get("Env") or ())
    return {name: value for name, mark, value in pairs if mark}  # a bare name is a variable that was taken away


def _beyond(found: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in found.items() if own.get(name) != value}


def _foreign(labels: Mapping[str, str]) -> dict[str, str]:
    # Ours say whose a container is, not what it is; the image's tag among them may move without a change.
    return {name: value for name, value in labels.items() if not name.startswith(LABEL)}


def _ports(host: Mapping[str, Any]) -> dict[str, str]:
    return {
        target: ", ".join(sorted(f"{entry.get('HostIp', '')}:{entry.get('HostPort', '')}" for entry in bindings))
        for target, bindings in mapping_at(host, "PortBindings").items()
        if bindings
    }


def _aliases(inspect: Mapping[str, Any]) -> dict[str, list[str]]:
    """The further names on each network; older engines add the container's id to them."""
    short = str(inspect.get("Id", ""))[:12]
    networks = mapping_at(mapping_at(inspect, "NetworkSettings"), "Networks")
    return {name: sorted(set(network.get("Aliases") or ()) - {short}) for name, network in networks.items()}


# -- from the payload to what the engine will say ----------------------------------------------------------------------


def _as_inspected(
    payload: Mapping[str, Any],
    image: Mapping[str, Any],
    daemon: Mapping[str, Any],
    networks: Mapping[str, tuple[str, ...]],
) -> dict[str, Any]:
    """What the engine will say: the payload, with what it fills in from the image and from its own settings."""
    own, host = mapping_at(image, "Config"), dict(mapping_at(payload, "HostConfig"))
    if host.get("Memory") and not host.get("MemorySwap"):
        host["MemorySwap"] = 2 * host["Memory"]
    if host.get("Init") is None:
        host["Init"] = bool(daemon.get("init"))
    if not host.get("ShmSize"):
        host["ShmSize"] = _SHM_SIZE
    return {
        "Config": _merged(payload, own),
        "HostConfig": {**host, "LogConfig": _filled_logging(host, daemon), "Ulimits": _filled_ulimits(host, daemon)},
        "NetworkSettings": {
            "Networks": {name: {"Aliases": list(aliases), "DNSNames": []} for name, aliases in networks.items()}
        },
    }


def _merged(payload: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """What is not said comes from the image; and an entrypoint of one's own takes the image's command away."""
    config = {key: value for key, value in payload.items() if key != "HostConfig"}
    if not config.get("Entrypoint"):
        config["Cmd"] = config.get("Cmd") or own.get("Cmd")
        if config.get("Entrypoint") is None:
            config["Entrypoint"] = own.get("Entrypoint")
    if config["Entrypoint"] == [""]:
        config["Entrypoint"] = None
    for key in ("User", "WorkingDir", "StopSignal"):
        config[key] = config.get(key) or own.get(key) or ""
    environment = {**_environment(own), **_environment(config)}
    config["Env"] = [f"{name}={value}" for name, value in environment.items()]
    for key in ("Labels", "ExposedPorts", "Volumes"):
        config[key] = {**mapping_at(own, key), **mapping_at(config, key)}
    given, images = mapping_at(config, "Healthcheck"), mapping_at(own, "Healthcheck")
    config["Healthcheck"] = {**images, **{key: value for key, value in given.items() if value}}
    return config


def _filled_logging(host: Mapping[str, Any], daemon: Mapping[str, Any]) -> dict[str, Any]:
    """An option that is not said is the daemon's, as long as the driver is."""
    config = mapping_at(host, "LogConfig")
    driver, options = config.get("Type") or "", mapping_at(config, "Config")
    if not daemon:
        return {"Type": driver, "Config": options}
    default = _default_logging(daemon)
    same = driver in ("", default["driver"])
    filled = {**mapping_at(daemon, "log-opts"), **options} if same else options
    return {"Type": driver or default["driver"], "Config": filled}


def _filled_ulimits(host: Mapping[str, Any], daemon: Mapping[str, Any]) -> list[Any]:
    given = list(host.get("Ulimits") or ())
    names = {entry["Name"] for entry in given}
    return given + [entry for entry in mapping_at(daemon, "default-ulimits").values() if entry["Name"] not in names]


def _or_empty(inspect: Mapping[str, Any], place: tuple[str, str]) -> Any:
    """What stands at a place, None for what every container has unless somebody sets it."""
    return mapping_at(inspect, place[0]).get(place[1]) or None
