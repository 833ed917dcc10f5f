"""What the engine says of a container, in the words of the stack file: pure, and one translator for both sides.

What is wanted takes the same road as what is observed: :func:`settings_wanted` works out what the engine would say of a
container made from our create payload, and hands that to :func:`settings_of`. So a difference is told at the level of a
field with its values, and it is one that the engine really has, whoever made the container and whatever its labels say.

Taken away on both sides is what nobody declared: the image's own defaults, and the daemon's. The rest says what a
stack file would have to say to get this container.

Read from the inspect of engines 20.10 to 28, where "not set" is null, an empty list, an empty mapping or no key at all.
"""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ..model.container import CONFIG_ROOT, LABEL, SECRET_ROOT
from ..model.masking import mask_text, sounds_secret

ANY = "*"  # in a section of what is wanted: what else is there was filled in by the daemon, and is as it should be

_NANO = 1_000_000_000
_SHM_SIZE = 64 * 1024**2
_GRACE_S = 10
_SHOWN = 60

# What no stack file can say, and a container made by hand may have: our word, and where the engine keeps it.
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
    "cpu_shares": ("HostConfig", "CpuShares"),
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
_IMAGES_OWN = ("command", "entrypoint", "user", "working_dir", "healthcheck", "stop_signal")
# Sections, in which each entry is told by itself, and what one entry is called.
_SECTIONS = {
    "environment": "environment",
    "labels": "label",
    "ports": "port",
    "mounts": "mount",
    "extra_hosts": "extra host",
    "sysctls": "sysctl",
    "ulimits": "ulimit",
    "logging": "logging",
}
_FILES = {"configs": "config", "secrets": "secret"}


def settings_of(
    inspect: Mapping[str, Any], image: Mapping[str, Any], daemon: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The settings of a container from its inspect; ``image`` is that of the image it was made from, ``{}`` if gone.

    ``daemon`` is the content of daemon.json, whose defaults stand in every container's inspect; None when not known.
    """
    config, host = _mapping(inspect, "Config"), _mapping(inspect, "HostConfig")
    own = _mapping(image, "Config")
    found = {
        **_process(config, own),
        "image": config.get("Image", ""),
        "hostname": "" if config.get("Hostname") == str(inspect.get("Id", ""))[:12] else config.get("Hostname", ""),
        "environment": _beyond(_environment(config), _environment(own)),
        "labels": _foreign(_beyond(_mapping(config, "Labels"), _mapping(own, "Labels"))),
        "ports": _ports(host),
        "expose": sorted(
            set(_mapping(config, "ExposedPorts")) - set(_mapping(own, "ExposedPorts")) - set(_ports(host))
        ),
        **_mounts(config, host, own),
        "network": "bridge" if host.get("NetworkMode") == "default" else host.get("NetworkMode", ""),
        "networks": _aliases(inspect),
        **_lifecycle(config, host, own),
        **_limits(host),
        **_confinement(host),
        **_name_service(host),
        "sysctls": dict(_mapping(host, "Sysctls")),
        "ulimits": _beyond(_ulimits(host), _default_ulimits(daemon or {})),
        "logging": _logging(host, daemon),
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


def differences(wanted: Mapping[str, Any], observed: Mapping[str, Any]) -> list[str]:
    """What differs, in one sentence for each field: ``mem_limit 320m -> 384m`` (observed -> wanted).

    Values beside names that sound like a secret are not told, long ones shortened.
    """
    found: list[str] = []
    for key in sorted({*wanted, *observed} - {"networks"}):
        left, right = observed.get(key), wanted.get(key)
        if left == right:
            continue
        if key in _SECTIONS:
            found += _section_differences(_SECTIONS[key], left or {}, right or {})
        elif key in _FILES:
            found += _file_differences(_FILES[key], left or {}, right or {})
        else:
            found += _value_differences(key, left, right)
    return found + _alias_differences(wanted.get("networks", {}), observed.get("networks", {}))


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


def _beside(config: Mapping[str, Any], own: Mapping[str, Any], key: str) -> str:
    """A text that differs from the image's own."""
    value = config.get(key) or ""
    return "" if value == (own.get(key) or "") else str(value)


def _lifecycle(config: Mapping[str, Any], host: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    policy = _mapping(host, "RestartPolicy")
    name, retries = policy.get("Name") or "no", policy.get("MaximumRetryCount") or 0
    grace = config.get("StopTimeout")
    healthcheck, images = _healthcheck(config), _healthcheck(own)
    return {
        "restart": f"{name}:{retries}" if retries else name,
        "init": bool(host.get("Init")),
        "stop_signal": _beside(config, own, "StopSignal"),
        "stop_grace_period": _span(_GRACE_S if grace is None else grace),
        "healthcheck": None if healthcheck == images else healthcheck,
    }


def _healthcheck(config: Mapping[str, Any]) -> dict[str, Any] | None:
    check = _mapping(config, "Healthcheck")
    if not check.get("Test"):
        return None
    if check["Test"][0] == "NONE":
        return {"test": ("NONE",)}

    def span(key: str, default: float) -> str:
        return _span((check.get(key) or 0) / _NANO or default)

    return {
        "test": tuple(check["Test"]),
        "interval": span("Interval", 30),
        "timeout": span("Timeout", 30),
        "retries": check.get("Retries") or 3,
        "start_period": span("StartPeriod", 0),
        "start_interval": span("StartInterval", 5),
    }


def _without_unknown(healthcheck: Mapping[str, Any], inspect: Mapping[str, Any]) -> dict[str, Any]:
    """Engines before 25 drop the start interval unseen; they do not know names in the DNS of a network either."""
    endpoints = _mapping(_mapping(inspect, "NetworkSettings"), "Networks").values()
    old = any(endpoints) and not any("DNSNames" in endpoint for endpoint in endpoints)
    return {key: value for key, value in healthcheck.items() if not (old and key == "start_interval")}


def _limits(host: Mapping[str, Any]) -> dict[str, Any]:
    pids = host.get("PidsLimit") or 0
    shm = host.get("ShmSize") or _SHM_SIZE
    swap = host.get("MemorySwap") or 0
    return {
        "mem_limit": _size(host.get("Memory")),
        "mem_reservation": _size(host.get("MemoryReservation")),
        "memswap_limit": "" if swap == (host.get("Memory") or 0) else "unlimited" if swap < 0 else _size(swap),
        "cpus": f"{host['NanoCpus'] / _NANO:g}" if host.get("NanoCpus") else "",
        "pids_limit": str(pids) if pids > 0 else "",
        "shm_size": "" if shm == _SHM_SIZE else _size(shm),
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
    return _ulimits({"Ulimits": list(_mapping(daemon, "default-ulimits").values())})


def _logging(host: Mapping[str, Any], daemon: Mapping[str, Any] | None) -> dict[str, str]:
    config = _mapping(host, "LogConfig")
    found = {**({"driver": str(config["Type"])} if config.get("Type") else {}), **_mapping(config, "Config")}
    return {} if daemon is not None and found == _default_logging(daemon) else found


def _default_logging(daemon: Mapping[str, Any]) -> dict[str, str]:
    return {"driver": str(daemon.get("log-driver") or "json-file"), **_mapping(daemon, "log-opts")}


def _environment(config: Mapping[str, Any]) -> dict[str, str]:
    pairs = (str(entry).partition("=") for entry in config.get("Env") or ())
    return {name: value for name, _, value in pairs}


def _beyond(found: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in found.items() if own.get(name) != value}


def _foreign(labels: Mapping[str, str]) -> dict[str, str]:
    # Ours say whose a container is, not what it is; the image's tag among them may move without a change.
    return {name: value for name, value in labels.items() if not name.startswith(LABEL)}


def _ports(host: Mapping[str, Any]) -> dict[str, str]:
    return {
        target: ", ".join(sorted(f"{entry.get('HostIp', '')}:{entry.get('HostPort', '')}" for entry in bindings))
        for target, bindings in _mapping(host, "PortBindings").items()
        if bindings
    }


def _aliases(inspect: Mapping[str, Any]) -> dict[str, list[str]]:
    """The further names on each network; older engines add the container's id to them."""
    short = str(inspect.get("Id", ""))[:12]
    networks = _mapping(_mapping(inspect, "NetworkSettings"), "Networks")
    return {name: sorted(set(network.get("Aliases") or ()) - {short}) for name, network in networks.items()}


# -- mounts ------------------------------------------------------------------------------------------------------------


def _mounts(config: Mapping[str, Any], host: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Mounts by their target, with configs and secrets told apart by where they lie on the host."""
    found: dict[str, dict[str, Any]] = {}
    for bind in host.get("Binds") or ():
        target, mount = _bind(str(bind))
        found[target] = mount
    for target, options in _mapping(host, "Tmpfs").items():
        found[posixpath.normpath(target)] = _tmpfs(str(options))
    for mount in host.get("Mounts") or ():
        found[posixpath.normpath(mount["Target"])] = _mount(mount)
    declared, images = (set(map(posixpath.normpath, _mapping(of, "Volumes"))) for of in (config, own))
    # A replacement carries on the volume that the image declares and nobody named.
    found = {target: mount for target, mount in found.items() if target not in images or not _is_unnamed(mount)}
    found |= {target: {"kind": "volume"} for target in declared - images - set(found)}
    files = {target: file for target, mount in found.items() if (file := _file(mount))}
    return {
        "mounts": {target: mount for target, mount in found.items() if target not in files},
        **{kind: {target: name for target, (of, name) in files.items() if of == kind} for kind in _FILES},
    }


def _is_unnamed(mount: Mapping[str, Any]) -> bool:
    return mount["kind"] == "volume" and re.fullmatch(r"[0-9a-f]{64}", mount.get("source", "")) is not None


def _file(mount: Mapping[str, Any]) -> tuple[str, str] | None:
    """``configs`` or ``secrets``, and ``name.mark``, of a read-only file below our roots."""
    if mount["kind"] != "bind" or not mount.get("read_only"):
        return None
    folder, name = posixpath.split(mount["source"])
    if posixpath.dirname(folder) == CONFIG_ROOT:
        mark, _, name = name.partition("-")
        return "configs", f"{name}.{mark}"
    return ("secrets", name) if posixpath.dirname(folder) == SECRET_ROOT else None


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of ``HostConfig.Mounts``."""
    bind, volume, tmpfs = (_mapping(mount, f"{kind}Options") for kind in ("Bind", "Volume", "Tmpfs"))
    return _described(
        mount.get("Type", ""),
        mount.get("Source", ""),
        read_only=bool(mount.get("ReadOnly")),
        propagation=bind.get("Propagation", ""),
        recursive="off" if bind.get("NonRecursive") else "",
        nocopy=bool(volume.get("NoCopy")),
        subpath=volume.get("Subpath", ""),
        driver=_mapping(volume, "DriverConfig").get("Name", ""),
        size=_size(tmpfs.get("SizeBytes")),
        mode=f"{tmpfs['Mode']:o}" if tmpfs.get("Mode") else "",
    )


def _bind(text: str) -> tuple[str, dict[str, Any]]:
    """An entry of ``HostConfig.Binds``: ``source:target[:options]``."""
    source, target, options = (*text.split(":"), "")[:3]
    words = set(filter(None, options.split(","))) - {"rw"}
    propagation = next((word for word in words if re.fullmatch(r"r?(shared|slave|private)", word)), "")
    return posixpath.normpath(target), _described(
        "bind" if source.startswith("/") else "volume",
        source,
        read_only="ro" in words,
        propagation=propagation,
        nocopy="nocopy" in words,
        options=",".join(sorted(words - {"ro", "nocopy", propagation})),
    )


def _tmpfs(text: str) -> dict[str, Any]:
    """The options of an entry of ``HostConfig.Tmpfs``: ``size=64m,mode=1777``."""
    options = dict(option.partition("=")[::2] for option in filter(None, text.split(",")))
    size, mode = options.pop("size", ""), options.pop("mode", "")
    return _described(
        "tmpfs",
        read_only=options.pop("ro", None) is not None,
        size=_size(_bytes(size)) or size,
        mode=mode.lstrip("0"),
        options=",".join(sorted(f"{key}={value}" if value else key for key, value in options.items() if key != "rw")),
    )


def _described(
    kind: str, source: str = "", *, read_only: bool = False, propagation: str = "", **more: Any
) -> dict[str, Any]:
    """A mount without what is so by itself: binds are private unless said otherwise."""
    found = {
        "kind": kind,
        "source": posixpath.normpath(source) if kind == "bind" else source,
        "read_only": read_only,
        "propagation": "" if propagation == "rprivate" else propagation,
        **more,
    }
    return {key: value for key, value in found.items() if value not in ("", False)}


# -- from the payload to what the engine will say ----------------------------------------------------------------------


def _as_inspected(
    payload: Mapping[str, Any],
    image: Mapping[str, Any],
    daemon: Mapping[str, Any],
    networks: Mapping[str, tuple[str, ...]],
) -> dict[str, Any]:
    """What the engine will say: the payload, with what it fills in from the image and from its own settings."""
    own, host = _mapping(image, "Config"), dict(_mapping(payload, "HostConfig"))
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
        config[key] = {**_mapping(own, key), **_mapping(config, key)}
    given, images = _mapping(config, "Healthcheck"), _mapping(own, "Healthcheck")
    config["Healthcheck"] = {**images, **{key: value for key, value in given.items() if value}}
    return config


def _filled_logging(host: Mapping[str, Any], daemon: Mapping[str, Any]) -> dict[str, Any]:
    """An option that is not said is the daemon's, as long as the driver is."""
    config = _mapping(host, "LogConfig")
    driver, options = config.get("Type") or "", _mapping(config, "Config")
    if not daemon:
        return {"Type": driver, "Config": options}
    default = _default_logging(daemon)
    same = driver in ("", default["driver"])
    filled = {**_mapping(daemon, "log-opts"), **options} if same else options
    return {"Type": driver or default["driver"], "Config": filled}


def _filled_ulimits(host: Mapping[str, Any], daemon: Mapping[str, Any]) -> list[Any]:
    given = list(host.get("Ulimits") or ())
    names = {entry["Name"] for entry in given}
    return given + [entry for entry in _mapping(daemon, "default-ulimits").values() if entry["Name"] not in names]


# -- from two settings to sentences ------------------------------------------------------------------------------------


def _section_differences(word: str, observed: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    names = {*wanted, *(() if ANY in wanted else observed)} - {ANY}
    for name in sorted(names):
        left, right = observed.get(name), wanted.get(name)
        if left != right:
            yield f"{word} {name} {_change(name, left, right)}"


def _change(name: str, observed: Any, wanted: Any) -> str:
    if observed is None or wanted is None:
        return "added" if observed is None else "removed"
    if isinstance(observed, Mapping) and isinstance(wanted, Mapping):
        parts = [f"{key} {left} -> {right}" for key, left, right in _shown_parts(observed, wanted)]
        return f"changed ({', '.join(parts)})"
    left, right = _shown(observed), _shown(wanted)
    return "changed" if sounds_secret(name) or left == right else f"changed ({left} -> {right})"


def _shown_parts(observed: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for key in sorted({*observed, *wanted}):
        left, right = observed.get(key), wanted.get(key)
        if left != right:
            yield key, _shown(left), _shown(right)


def _file_differences(word: str, observed: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[str]:
    """Of configs and secrets: what is told is their name, never what is in them."""
    left, right = _by_name(observed), _by_name(wanted)
    for name in sorted({*left, *right}):
        if name not in left or name not in right:
            yield f"{word} {name} {'added' if name not in left else 'removed'}"
        elif set(left[name].values()) != set(right[name].values()):
            yield f"{word} {name} changed"
        elif left[name] != right[name]:
            yield f"{word} {name} target {', '.join(sorted(left[name]))} -> {', '.join(sorted(right[name]))}"


def _by_name(files: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """``{target: name.mark}`` as ``{name: {target: mark}}``."""
    found: dict[str, dict[str, str]] = {}
    for target, file in files.items():
        name, _, mark = file.partition(".")
        found.setdefault(name, {})[target] = mark
    return found


def _value_differences(key: str, observed: Any, wanted: Any) -> list[str]:
    if key == "image":
        return [f"image {' -> '.join(_images(str(observed or ''), str(wanted or '')))}"]
    if key == "healthcheck" and isinstance(observed, Mapping) and isinstance(wanted, Mapping):
        if "start_interval" not in observed:  # an engine that has none
            wanted = {name: value for name, value in wanted.items() if name != "start_interval"}
        return [f"healthcheck {_change(key, observed, wanted)}"] if observed != wanted else []
    absent = "the image's" if key in _IMAGES_OWN else "none"
    if isinstance(wanted or observed, bool):
        absent = "false"
    left, right = (absent if value is None else _shown(value) for value in (observed, wanted))
    return [f"{key} changed" if left == right else f"{key} {left} -> {right}"]


def _images(observed: str, wanted: str) -> tuple[str, str]:
    """Both by their digests, shortened; with their names when those differ too."""
    names, digests = zip(*(image.rpartition("@")[::2] for image in (observed, wanted)), strict=True)
    short = [digest[:14] if digest.startswith("sha256:") else digest or "none" for digest in digests]
    if names[0] == names[1]:
        return short[0], short[1]
    left, right = (f"{name}@{digest}" if name else digest for name, digest in zip(names, short, strict=True))
    return left, right


def _alias_differences(wanted: Mapping[str, list[str]], observed: Mapping[str, list[str]]) -> list[str]:
    # A network that one of them lacks is attached or detached; that replaces nothing.
    return [
        f"network {name} aliases {_shown(observed[name])} -> {_shown(wanted[name])}"
        for name in sorted(set(wanted) & set(observed))
        if wanted[name] != observed[name]
    ]


def _shown(value: Any) -> str:
    """A value in a sentence: on one line, without secrets, not too long."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        value = [f"{key} {_shown(entry)}" for key, entry in value.items()]
    if isinstance(value, list):
        text = ", ".join(map(_shown, value)) or "none"
    else:
        text = shlex.join(value) if isinstance(value, tuple) else str(value)
        text = text or ("none" if isinstance(value, tuple) else "''")
    text = mask_text(text).replace("\n", "\\n")
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


# -- words -------------------------------------------------------------------------------------------------------------


def _size(count: Any) -> str:
    """Bytes in the notation of Compose: ``384m``; an empty text for none."""
    number = int(count or 0)
    for unit, factor in (("g", 1024**3), ("m", 1024**2), ("k", 1024)):
        if number and number % factor == 0:
            return f"{number // factor}{unit}"
    return f"{number}b" if number else ""


def _bytes(text: str) -> int:
    """A size as tmpfs takes it; 0 for what is not one, such as ``50%``."""
    match = re.fullmatch(r"(\d+)([kmg]?)", text, re.IGNORECASE)
    return int(match[1]) * {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}[match[2].lower()] if match else 0


def _span(seconds: float) -> str:
    """Seconds in the notation of Compose: ``1m30s``, ``500ms``."""
    whole, rest = divmod(round(seconds * 1000), 1000)
    minutes, left = divmod(whole, 60)
    parts = [f"{minutes}m" if minutes else "", f"{left}s" if left else "", f"{rest}ms" if rest else ""]
    return "".join(parts) or "0s"


def _mapping(value: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A mapping below a key; what is null or not there is empty."""
    return dict(value.get(key) or {})


def _or_empty(inspect: Mapping[str, Any], place: tuple[str, str]) -> Any:
    """What stands at a place, None for what every container has unless somebody sets it."""
    return _mapping(inspect, place[0]).get(place[1]) or None
