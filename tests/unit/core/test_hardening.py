"""Each item of the benchmark: a container of ours has no finding, and each loosening gives its own and no other."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.hands import Host
from plugins.module_utils.model.container import ObservedContainer
from plugins.module_utils.model.stack import parse_tree
from plugins.module_utils.plan.hardening import CHECKS, loosened
from plugins.module_utils.release import status

DOCS = Path(__file__).resolve().parents[3] / "docs" / "hardening.md"


def container() -> dict[str, Any]:
    """What Docker Engine 26.1 says of a container of ours, in so far as it is looked at."""
    return {
        "AppArmorProfile": "docker-default",
        "Config": {"Healthcheck": {"Test": ["CMD", "pg_isready"]}},
        "HostConfig": {
            "CapAdd": None,
            "CapDrop": ["ALL"],
            "CgroupParent": "",
            "CpuQuota": 0,
            "CpuShares": 0,
            "DeviceCgroupRules": None,
            "DeviceRequests": None,
            "Devices": None,
            "IpcMode": "private",
            "Memory": 268435456,
            "NanoCpus": 1000000000,
            "NetworkMode": "shop_backend",
            "PidMode": "",
            "PidsLimit": 256,
            "PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
            "Privileged": False,
            "PublishAllPorts": False,
            "ReadonlyRootfs": True,
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
            "SecurityOpt": ["no-new-privileges:true"],
            "UTSMode": "",
            "Ulimits": [{"Name": "nofile", "Hard": 8192, "Soft": 8192}],
            "UsernsMode": "",
        },
        "Mounts": [
            mount("/run/seisei/secrets/shop/PASSWORD.0123456789abcdef"),
            mount("/var/lib/seisei/edge/acme", writable=True),
            mount("/etc/ssl/certs"),
            {"Type": "volume", "Source": "/var/lib/docker/volumes/shop_data/_data", "RW": True, "Propagation": ""},
        ],
        "NetworkSettings": {"Networks": {"shop_backend": {}, "edge": {}}},
    }


def mount(source: str, *, writable: bool = False, propagation: str = "rprivate") -> dict[str, Any]:
    return {"Type": "bind", "Source": source, "RW": writable, "Propagation": propagation}


def published(address: str, port: str) -> dict[str, Any]:
    return {"8080/tcp": [{"HostIp": address, "HostPort": port}]}


def findings(inspection: dict[str, Any]) -> list[str]:
    return [str(finding) for finding in loosened(inspection)]


SET = [
    ("SecurityOpt", None, ["5.26 its processes can gain privileges"]),
    ("SecurityOpt", ["no-new-privileges:false"], ["5.26 its processes can gain privileges"]),
    ("SecurityOpt", ["no-new-privileges", "apparmor=unconfined"], ["5.2 AppArmor does not confine it"]),
    ("SecurityOpt", ["no-new-privileges=true", "label:disable"], ["5.3 SELinux does not confine it"]),
    ("SecurityOpt", ["no-new-privileges", "seccomp=unconfined"], ["5.22 it may use every system call"]),
    ("SecurityOpt", ["no-new-privileges", "seccomp={}", "apparmor=mine"], []),
    ("CapDrop", None, ["5.4 it keeps capabilities that nobody named"]),
    ("CapDrop", ["CHOWN"], ["5.4 it keeps capabilities that nobody named"]),
    ("CapDrop", ["all"], []),
    ("CapAdd", ["CAP_KILL", "CHOWN"], ["5.4 it has the capability KILL", "5.4 it has the capability CHOWN"]),
    ("Privileged", True, ["5.5 it is privileged"]),
    ("PortBindings", published("127.0.0.1", "443"), ["5.8 it takes port 443 of the host"]),
    ("PortBindings", published("", "8080"), ["5.14 port 8080 is published on every interface"]),
    ("PortBindings", published("0.0.0.0", "8080"), ["5.14 port 8080 is published on every interface"]),
    ("PortBindings", published("::", ""), ["5.14 port of any number is published on every interface"]),
    ("PortBindings", published("10.0.0.1", "1024"), []),
    ("PortBindings", None, []),
    ("PublishAllPorts", True, ["5.9 every port its image names is published"]),
    ("NetworkMode", "host", ["5.10 it shares the host's network"]),
    ("NetworkMode", "default", ["5.30 it is on the engine's default network"]),
    ("Memory", 0, ["5.11 its memory has no limit"]),
    ("NanoCpus", 0, ["5.12 its share of the processors has no limit"]),
    ("ReadonlyRootfs", False, ["5.13 its root file system can be written to"]),
    ("RestartPolicy", {"Name": "no", "MaximumRetryCount": 0}, ["5.15 nobody starts it again"]),
    ("RestartPolicy", {"Name": "on-failure", "MaximumRetryCount": 5}, []),
    ("PidMode", "host", ["5.16 it shares the host's processes"]),
    ("IpcMode", "host", ["5.17 it shares the host's shared memory"]),
    ("UTSMode", "host", ["5.21 it shares the host's name"]),
    ("UsernsMode", "host", ["5.31 it shares the host's user ids"]),
    ("Devices", [{"PathOnHost": "/dev/kvm"}], ["5.18 it has the device /dev/kvm"]),
    ("DeviceCgroupRules", ["a *:* rwm"], ["5.18 it may open devices of the host"]),
    ("Ulimits", [], ["5.19 its open files have no limit of ours"]),
    ("CgroupParent", "/other", ["5.25 it is counted in the control group /other"]),
    ("PidsLimit", None, ["5.29 its processes have no limit"]),
    ("PidsLimit", -1, ["5.29 its processes have no limit"]),
]

MOUNTED = [
    (mount("/etc/shadow"), ["5.6 it mounts /etc/shadow of the host"]),
    (mount("/etc"), ["5.6 it mounts /etc of the host"]),
    (mount("/etc/ssl/certs", writable=True), ["5.6 it mounts /etc/ssl/certs of the host"]),
    (mount("/usr/local/share"), ["5.6 it mounts /usr/local/share of the host"]),
    (mount("/var/lib/seisei"), ["5.6 it mounts /var/lib/seisei of the host"]),
    (mount("/run/seisei"), ["5.6 it mounts /run/seisei of the host"]),
    (mount("/etcetera"), []),
    (mount("/srv/data", writable=True), []),
    (mount("/"), ["5.6 it mounts / of the host", "5.32 it reaches the engine through /"]),
    (mount("/run"), ["5.6 it mounts /run of the host", "5.32 it reaches the engine through /run"]),
    (mount("/var/run/docker.sock"), ["5.32 it reaches the engine through /var/run/docker.sock"]),
    (mount("/srv/data", propagation="rshared"), ["5.20 what it mounts below /srv/data shows on the host"]),
    (mount("/srv/data", propagation="rslave"), []),
]


def test_a_container_of_ours_has_no_finding() -> None:
    assert findings(container()) == []


@pytest.mark.parametrize(("key", "value", "expected"), SET, ids=[f"{key}={value}" for key, value, _ in SET])
def test_a_setting_of_the_engine(key: str, value: Any, expected: list[str]) -> None:
    given = container()
    assert key in given["HostConfig"], "an inspection has no such key"
    given["HostConfig"][key] = value
    assert findings(given) == expected


@pytest.mark.parametrize(("one", "expected"), MOUNTED, ids=[f"{one['Source']}-{one['RW']}" for one, _ in MOUNTED])
def test_a_mount_from_the_host(one: dict[str, Any], expected: list[str]) -> None:
    given = container()
    given["Mounts"].append(one)
    assert findings(given) == expected


@pytest.mark.parametrize("check", [None, {"Test": ["NONE"]}, {"Test": []}, {}])
def test_a_container_whose_health_nobody_checks(check: Any) -> None:
    given = container()
    given["Config"]["Healthcheck"] = check
    assert findings(given) == ["5.27 nobody checks its health"]


def test_profiles_and_networks_are_read_where_the_engine_tells_them() -> None:
    given = container()
    given["AppArmorProfile"] = "unconfined"
    given["NetworkSettings"]["Networks"]["bridge"] = {}
    assert findings(given) == ["5.2 AppArmor does not confine it", "5.30 it is on the engine's default network"]
    given["AppArmorProfile"] = ""  # as on a kernel without it: there is nothing to disable
    assert findings(given) == ["5.30 it is on the engine's default network"]


@pytest.mark.parametrize("key", ["CpuQuota", "CpuShares"])
def test_any_limit_of_the_processors_counts(key: str) -> None:
    given = container()
    given["HostConfig"] |= {"NanoCpus": 0, key: 512}
    assert findings(given) == []


def test_findings_stand_in_the_order_of_the_benchmark() -> None:
    given = container()
    given["HostConfig"] |= {"PidsLimit": 0, "Privileged": True, "Memory": 0}
    assert [finding.item for finding in loosened(given)] == ["5.5", "5.11", "5.29"]


def test_status_has_the_items_of_a_stack_and_each_finding_in_words(tmp_path: Path) -> None:
    web, job = container(), container()
    web["HostConfig"] |= {"PidsLimit": 0, "PortBindings": published("", "80")}
    job["HostConfig"] |= {"PidsLimit": 0}
    row = row_of({"shop-web": web, "shop-job": job}, tmp_path)
    assert row["loosened"] == "5.8, 5.14, 5.29"
    assert [" ".join(found.values()) for found in row["findings"]] == [
        "shop-job 5.29 its processes have no limit",
        "shop-web 5.8 it takes port 80 of the host",
        "shop-web 5.14 port 80 is published on every interface",
        "shop-web 5.29 its processes have no limit",
    ]


def test_status_of_a_stack_that_is_not_loosened_is_empty(tmp_path: Path) -> None:
    row = row_of({"shop-web": container()}, tmp_path)
    assert (row["loosened"], row["findings"]) == ("", [])


def row_of(told: dict[str, dict[str, Any]], place: Path) -> dict[str, Any]:
    """The row of a stack that has these containers."""
    found = {name: ObservedContainer(name, "shop", "web", 0, "running", told=one) for name, one in told.items()}
    engine = SimpleNamespace(containers=lambda stack: found if stack == "shop" else {})
    host = SimpleNamespace(engine=engine, state=HostState(place / "var", place / "run"))
    web = {"image": "registry/web:1", "healthcheck": {"test": "go"}}
    return status(cast(Host, host), parse_tree({"name": "shop", "services": {"web": web}}))


def test_every_item_that_is_checked_is_explained() -> None:
    rows = re.findall(r"^\| (5\.\d+) \|.*\| (.+) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert [item for item, _ in rows] == [f"5.{number}" for number in range(1, 33)]
    assert [item for item, seen in rows if seen != "not seen"] == list(CHECKS)
