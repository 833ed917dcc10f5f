"""A container that somebody made anew with other settings is seen for it, whatever its labels say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.plan.differences import differences
from plugins.module_utils.plan.settings import settings_of, settings_wanted

from .oracle import CASES, PREFIX, Oracle, Pair

pytestmark = pytest.mark.lab

# What is changed of the payload, and what is then told. `label=disable` the engine adds itself.
LABELS = "security_opt label=disable, no-new-privileges=true -> no-new-privileges=true"
HOST_CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({}, []),
    ({"Privileged": True}, ["privileged true -> false", LABELS]),
    ({"PidMode": "host"}, ["pid host -> none", LABELS]),
    ({"IpcMode": "host"}, ["ipc host -> none", LABELS]),
    ({"UsernsMode": "host"}, ["userns_mode host -> none"]),
    ({"CapDrop": None}, ["cap_drop none -> ALL"]),
    ({"CapAdd": ["SYS_ADMIN", "CHOWN"]}, ["cap_add CHOWN, SYS_ADMIN -> CHOWN"]),
    ({"SecurityOpt": ["seccomp=unconfined"]}, ["security_opt seccomp=unconfined -> no-new-privileges=true"]),
    ({"MaskedPaths": []}, ["systempaths unconfined -> none"]),
    ({"MemorySwap": 0}, ["memswap_limit 256m -> 192m"]),
    ({"NanoCpus": 0}, ["cpus none -> 0.5"]),
    ({"NanoCpus": 0, "CpuQuota": 50000}, ["cpu_quota 50000 -> none", "cpus none -> 0.5"]),
    ({"Binds": ["/:/host"]}, ["mount /host removed"]),
    ({"Binds": ["/run/docker.sock:/run/docker.sock:ro"]}, ["mount /run/docker.sock removed"]),
    (
        {"PortBindings": {"8080/tcp": [{"HostIp": "", "HostPort": "18099"}]}},
        ["port 8080/tcp changed (:18099 -> 127.0.0.1:18099)"],
    ),
    ({"RestartPolicy": {"Name": "no"}}, ["restart no -> on-failure:2"]),
    ({"RestartPolicy": None, "AutoRemove": True}, ["auto_remove true -> false", "restart no -> on-failure:2"]),
    ({"GroupAdd": ["0"]}, ["group_add 0 -> none"]),
]
CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    *(({"HostConfig": change}, sentences) for change, sentences in HOST_CHANGES),
    ({"User": "0"}, ["user 0 -> 10001:10001"]),
    ({"Env": ["COLOUR=red", "DEBUG=1", "A=1"]}, ["environment A removed", "environment COLOUR changed (red -> blue)"]),
    ({"Cmd": ["sleep 5"], "Tty": True}, ["command 'sleep 5' -> 'sleep 60'", "tty true -> false"]),
]


@contextmanager
def made_by_hand(oracle: Oracle, pair: Pair, change: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What the engine says of a container like the wanted one, but for a change."""
    payload = {**pair.wanted.payload, **change}
    payload["HostConfig"] = {**pair.wanted.payload["HostConfig"], **change.get("HostConfig", {})}
    made = oracle.engine.api.create_container_from_config(payload, f"{PREFIX}by-hand")["Id"]
    try:
        yield oracle.engine.inspect(made) or {}
    finally:
        oracle.engine.remove(made)


@pytest.mark.parametrize(("change", "sentences"), CHANGES, ids=lambda value: str(value)[:60])
def test_what_was_changed_by_hand_is_told(
    change: dict[str, Any],
    sentences: list[str],
    made: Mapping[Path, Future[dict[str, Pair]]],
    oracle: Oracle,
) -> None:
    pair = made[CASES / "everything.yml"].result()["web"]
    with made_by_hand(oracle, pair, change) as inspect:
        wanted = settings_wanted(pair.wanted.payload, pair.image, oracle.daemon)
        assert differences(wanted, settings_of(inspect, pair.image, oracle.daemon)) == sentences
