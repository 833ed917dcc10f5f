"""From a service to the engine's create payload; and a change of any field of a service is one sentence."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from plugins.module_utils.model.container import WantedContainer
from plugins.module_utils.model.health import Healthcheck
from plugins.module_utils.model.mount import FileMount, Mount
from plugins.module_utils.model.networking import Attachment
from plugins.module_utils.model.port import Port
from plugins.module_utils.model.service import Service
from plugins.module_utils.model.stack import Stack, parse_tree
from plugins.module_utils.plan.containers import pinned, secret_path, wanted_container
from plugins.module_utils.plan.differences import differences
from plugins.module_utils.plan.settings import settings_wanted

STACK = parse_tree(
    {
        "name": "shop",
        "services": {"web": {"image": "r/web:1", "healthcheck": {"disable": True}}},
        "networks": {"back": {}, "edge": {"external": True}, "front": {}},
        "volumes": {"data": {}, "files": {"name": "shared-files"}},
        "configs": {"ca": {"content": "one"}},
        "secrets": {"KEY": {"environment": "KEY"}},
    }
)
SECRET = FileMount("secret", "KEY", "/run/secrets/KEY")
BASE = Service("web", "r/web:1", networks=(Attachment("back"),), healthcheck=Healthcheck(("CMD", "ok")))
IMAGE = {"Config": {"Cmd": ["serve"], "Entrypoint": ["run"], "User": "999", "Env": ["PATH=/bin"]}}


def made(service: Service, stack: Stack = STACK, **more: Any) -> WantedContainer:
    return wanted_container(stack, service, environment="test", digest="sha256:0123456789", **more)


def said(service: Service, **more: Any) -> dict[str, Any]:
    wanted = made(service, **more)
    return settings_wanted(wanted.payload, IMAGE, networks=wanted.networks)


CHANGES: dict[str, tuple[Any, str]] = {
    "image": ("elsewhere/web:1", "image r/web@sha256:0123456 -> elsewhere/web@sha256:0123456"),
    "command": (("sleep", "5 6"), "command the image's -> sleep '5 6'"),
    "entrypoint": ((), "entrypoint the image's -> none"),
    "environment": ({"COLOUR": "red"}, "environment COLOUR added"),
    "user": ("1:1", "user the image's -> 1:1"),
    "working_dir": ("/srv", "working_dir the image's -> /srv"),
    "hostname": ("shop", "hostname none -> shop"),
    "labels": ({"tier": "back"}, "label tier added"),
    "ports": ((Port(80, 8080, "127.0.0.1"),), "port 80/tcp added"),
    "expose": (("81/udp",), "expose none -> 81/udp"),
    "networks": ((Attachment("back", ("shop.internal",)),), "network shop_back aliases web -> shop.internal, web"),
    "mounts": ((Mount("volume", "/data", "data"),), "mount /data added"),
    "files": ((FileMount("config", "ca", "/ca.pem"),), "config ca added"),
    "healthcheck": (Healthcheck(("CMD", "ok"), retries=9), "healthcheck changed (retries 3 -> 9)"),
    "restart": ("no", "restart unless-stopped -> no"),
    "restart_retries": (3, "restart unless-stopped -> unless-stopped:3"),
    "init": (True, "init false -> true"),
    "stop_signal": ("SIGINT", "stop_signal the image's -> SIGINT"),
    "stop_grace_period": (0, "stop_grace_period 10s -> 0s"),
    "read_only": (False, ""),  # two: with the root's protection goes its /tmp
    "cap_add": (("CHOWN",), "cap_add none -> CHOWN"),
    "cap_drop": (("NET_RAW",), "cap_drop ALL -> NET_RAW"),
    "security_opt": ((), "security_opt no-new-privileges=true -> none"),
    "mem_limit": (384 << 20, "mem_limit 512m -> 384m"),
    "mem_reservation": (1 << 20, "mem_reservation none -> 1m"),
    "memswap_limit": (-1, "memswap_limit none -> unlimited"),
    "cpus": (0.25, "cpus 1 -> 0.25"),
    "pids_limit": (9, "pids_limit 256 -> 9"),
    "logging": ({"max-size": "1m"}, "logging max-size added"),
    "logging_driver": ("local", "logging driver added"),
    "extra_hosts": (("db:10.0.0.1",), "extra host db added"),
    "dns": (("10.0.0.1",), "dns none -> 10.0.0.1"),
    "dns_search": (("lab",), "dns_search none -> lab"),
    "dns_opt": (("use-vc",), "dns_opt none -> use-vc"),
    "sysctls": ({"net.core.somaxconn": "9"}, "sysctl net.core.somaxconn added"),
    "ulimits": ({"nofile": (1, 2)}, "ulimit nofile added"),
    "shm_size": (1 << 20, "shm_size none -> 1m"),
}


def test_every_field_of_a_service_is_a_case() -> None:
    # A name makes another container; what it waits for is no setting.
    assert {field.name for field in fields(Service)} - {"name", "depends_on"} == CHANGES.keys()


@pytest.mark.parametrize("name", [name for name, (_, sentence) in CHANGES.items() if sentence])
def test_one_change_is_one_sentence_and_can_be_taken_back(name: str) -> None:
    value, sentence = CHANGES[name]
    changed = replace(BASE, **{name: value})
    assert differences(said(changed), said(BASE)) == [sentence]
    if name not in ("logging", "logging_driver", "ulimits"):  # of those the daemon may have its own
        assert len(differences(said(BASE), said(changed))) == 1
    assert differences(said(changed), said(changed)) == []


def test_a_root_that_may_be_written_needs_no_tmp() -> None:
    assert differences(said(replace(BASE, read_only=False)), said(BASE)) == [
        "mount /tmp removed",
        "read_only true -> false",
    ]


def test_another_secret_is_another_file() -> None:
    service = replace(BASE, files=(SECRET,))
    one, two = (said(service, secret_marks={"KEY": mark}) for mark in ("a" * 16, "b" * 16))
    assert one["secrets"] == {"/run/secrets/KEY": f"KEY.{'a' * 16}"}
    assert differences(two, one) == ["secret KEY changed"]
    assert secret_path("shop", "KEY", "ab") == "/run/seisei/secrets/shop/KEY.ab"


def test_another_content_is_another_file() -> None:
    service = replace(BASE, files=(FileMount("config", "ca", "/ca.pem"),))
    other = replace(STACK, configs={"ca": "two"})
    first, second = made(service), made(service, other)
    assert differences(settings_wanted(second.payload, {}), settings_wanted(first.payload, {})) == ["config ca changed"]


def test_marks_are_in_no_label() -> None:
    wanted = made(replace(BASE, files=(SECRET,)), secret_marks={"KEY": "0123456789abcdef"})
    assert "0123456789abcdef" not in str(wanted.payload["Labels"])


@pytest.mark.parametrize(
    ("mount", "where", "entry"),
    [
        (Mount("volume", "/d", "data"), "Mounts", [{"Type": "volume", "Source": "shop_data", "Target": "/d"}]),
        (
            Mount("volume", "/d", "files", read_only=True, nocopy=True, subpath="a/b"),
            "Mounts",
            [
                {
                    "Type": "volume",
                    "Source": "shared-files",
                    "Target": "/d",
                    "ReadOnly": True,
                    "VolumeOptions": {"NoCopy": True, "Subpath": "a/b"},
                }
            ],
        ),
        (
            Mount("bind", "/d", "/srv", propagation="rslave"),
            "Mounts",
            [{"Type": "bind", "Source": "/srv", "Target": "/d", "BindOptions": {"Propagation": "rslave"}}],
        ),
        (Mount("tmpfs", "/d"), "Tmpfs", {"/d": "", "/tmp": "size=64m,mode=1777"}),
        (Mount("tmpfs", "/d", size=9, mode="700"), "Tmpfs", {"/d": "size=9,mode=700", "/tmp": "size=64m,mode=1777"}),
        (Mount("tmpfs", "/tmp", size=9), "Tmpfs", {"/tmp": "size=9"}),
        (Mount("tmpfs", "/tmp/", read_only=True), "Tmpfs", {"/tmp/": "ro"}),
        (Mount("volume", "/tmp", "data"), "Tmpfs", None),
    ],
)
def test_mounts(mount: Mount, where: str, entry: Any) -> None:
    assert made(replace(BASE, mounts=(mount,))).payload["HostConfig"].get(where) == entry


def test_the_first_network_is_the_first_by_name_as_with_compose() -> None:
    wanted = made(replace(BASE, networks=(Attachment("front"), Attachment("back"))))
    assert wanted.payload["HostConfig"]["NetworkMode"] == "shop_back"
    assert list(wanted.networks) == ["shop_back", "shop_front"]


def test_on_a_shared_network_nobody_answers_to_a_services_name() -> None:
    wanted = made(replace(BASE, networks=(Attachment("back"), Attachment("edge", ("shop.internal",)))))
    assert wanted.networks == {"shop_back": ("web",), "edge": ("shop.internal",)}


def test_a_check_switched_off_has_no_times() -> None:
    payload = made(replace(BASE, healthcheck=Healthcheck(("NONE",)))).payload
    assert payload["Healthcheck"] == {"Test": ["NONE"]}


def test_an_empty_entrypoint_is_said() -> None:
    assert made(replace(BASE, entrypoint=())).payload["Entrypoint"] == []
    assert "Entrypoint" not in made(BASE).payload


@pytest.mark.parametrize(("limit", "swap"), [(0, 512 << 20), (1 << 30, 1 << 30), (-1, -1)])
def test_there_is_no_swap_unless_it_is_said(limit: int, swap: int) -> None:
    assert made(replace(BASE, memswap_limit=limit)).payload["HostConfig"]["MemorySwap"] == swap


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("redis:7", "redis@sha256:1"),
        ("registry:5000/redis:7", "registry:5000/redis@sha256:1"),
        ("registry:5000/a/redis:sha-1234567", "registry:5000/a/redis@sha256:1"),
    ],
)
def test_what_runs_is_a_digest(image: str, found: str) -> None:
    assert pinned(image, "sha256:1") == found
