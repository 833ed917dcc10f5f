"""What differs between two settings of a container, in a sentence for each field: pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from ..model.container import ObservedContainer
from ..model.masking import mask_text, sounds_secret

ANY = "*"  # in a section of what is wanted: what else is there was filled in by the daemon, and is as it should be

_SHOWN = 60
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


def other_names(wanted: frozenset[str], found: frozenset[str]) -> str:
    """How the names differ to which a container answers on a network; empty when they do not."""
    if missing := wanted - found:
        return f"it does not answer to {', '.join(sorted(missing))} there"
    return f"it answers to {', '.join(sorted(found - wanted))} there as well" if found - wanted else ""


def why_not_running(found: ObservedContainer) -> str:
    """How a container stands still, in words."""
    if found.status == "exited" and found.exit_code:
        return f"it ended with exit code {found.exit_code}"
    return "not running" if found.status in ("exited", "created") else f"it is {found.status}"
