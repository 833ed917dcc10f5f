"""Stack files, accepted and refused: the cases are data, in cases/*.yml."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

import pytest

from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.service import SERVICE_KEYS
from plugins.module_utils.model.stack_keys import STACK_KEYS
from plugins.module_utils.model.vocabulary import Key, Keys
from plugins.module_utils.model.watch import WatchPolicy
from plugins.plugin_utils.estate import STACKS
from plugins.plugin_utils.stack_file_page import render_stack_file
from tests.unit.core.core_parts import around, case_name, cases, read_stack, told

ACCEPTED = cases("accepted_services")
REFUSED = cases("refused_services")
REFUSED_STACKS = cases("refused_stacks")


@pytest.mark.parametrize("case", ACCEPTED, ids=case_name)
def test_a_key_is_read_in_every_form(case: dict[str, Any]) -> None:
    service = read_stack(around(case["body"], declares=case.get("declares", ""))).services["web"]
    found = json.loads(json.dumps(asdict(service)))
    assert said({key: found[key] for key in case["reads"]}) == said(case["reads"])


def said(value: Any) -> Any:
    """A value without the fields that say nothing, in the entries of its lists."""
    if isinstance(value, dict):
        return {key: said(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    return [
        {k: v for k, v in item.items() if v not in ("", 0, False)} if isinstance(item, dict) else item for item in value
    ]


def keys_below(keys: Keys, above: str = "") -> Iterator[tuple[str, Key]]:
    for key in keys.values():
        yield f"{above}{key.name}", key
        yield from keys_below(key.keys, f"{above}{key.name}.") if key.keys else ()


def without(text: str) -> list[str]:
    """Accepted keys that no line of a text has."""
    return [path for path, key in keys_below(SERVICE_KEYS) if not re.search(rf"\b{key.name}:", text)]


def test_no_accepted_key_is_without_an_accepted_case() -> None:
    assert without("image:" + "".join(case["body"] for case in ACCEPTED)) == []


def test_no_accepted_key_is_without_a_refused_case() -> None:
    names = "".join(f"\n{word}:" for case in REFUSED for says in case["says"] for word in re.findall(r"[\w-]+", says))
    assert without(names) == []


def test_no_accepted_key_is_without_a_line_in_the_reference() -> None:
    page = render_stack_file()
    assert [name for name in SERVICE_KEYS if f"\n### {name}\n" not in page] == []
    tables = [key for key in (*SERVICE_KEYS.values(), *STACK_KEYS.values()) if key.keys and key.name != "services"]
    below = [path for key in tables for path, _ in keys_below(key.keys or Keys())]
    assert [path for path in below if f"\n| `{path}` |" not in page] == []


def beside_services() -> list[str]:
    """Keys of a stack outside its services: the sections, what stands in them, and the keys of x-ops."""
    sections = [key for key in STACK_KEYS.values() if key.name != "services"]
    return [name for section in sections for name in (section.name, *(section.keys or ()))]


def test_no_key_beside_the_services_is_without_an_accepted_and_a_refused_file() -> None:
    files = [path.read_text(encoding="utf-8") for path in STACKS.glob("*.yml")]
    accepted = "\n".join([*files, inspect.getsource(test_a_released_stack_reads_whole)])
    refused_names = " ".join(says for case in REFUSED_STACKS for says in case["says"])
    for name in beside_services():
        assert re.search(rf"\b{name}:", accepted), f"{name} is accepted nowhere"
        assert re.search(rf"\b{name}\b", refused_names), f"{name} is refused nowhere"


WORDS_ONLY = ("networks", "tmpfs", "logging", "shm_size")


@pytest.mark.parametrize("key", [key for key in SERVICE_KEYS.values() if key.default], ids=lambda key: key.name)
def test_a_default_is_what_the_reference_says(key: Key) -> None:
    if key.name in WORDS_ONLY:
        assert " " in key.default or key.name == "shm_size", "a default that can be written is compared"
        return
    said = key.default.partition(",")[0].replace("mem_limit", "512m")
    written, left_out = (read_stack(around(body)).services["web"] for body in (f"{key.name}: {said}", ""))
    assert replace(written, memswap_limit=0) == left_out


def test_the_edge_mounts_its_own_directories() -> None:
    text = around('volumes: ["/var/lib/seisei/edge/acme:/data", "/var/lib/seisei/edge/dynamic/:/d:ro"]')
    mounts = read_stack(text.replace("name: shop", "name: edge")).services["web"].mounts
    assert [mount.source for mount in mounts] == ["/var/lib/seisei/edge/acme", "/var/lib/seisei/edge/dynamic/"]


@pytest.mark.parametrize(
    ("network", "name"),
    [("{}", "shop_default"), ("{internal: true}", "shop_default"), ("{external: true, name: edge}", "edge")],
)
def test_a_network_may_be_called_default_in_the_file(network: str, name: str) -> None:
    assert read_stack(around("", declares=f"networks: {{default: {network}}}")).network_of("default") == name


DECLARED = """  db: {image: r/db:1, healthcheck: {test: go}}
networks: {edge: {}}
volumes: {data: {}}
configs: {ca: {content: x}}
secrets: {PASSWORD: {environment: PASSWORD}}
"""


@pytest.mark.parametrize("key", [key for key in SERVICE_KEYS.values() if key.name != "image"], ids=lambda key: key.name)
def test_the_reference_gives_an_example_that_is_accepted(key: Key) -> None:
    assert key.example.startswith(f"{key.name}:")
    read_stack(around(key.example, declares=DECLARED))


@pytest.mark.parametrize("key", STACK_KEYS.values(), ids=lambda key: key.name)
def test_the_reference_gives_an_example_of_a_section(key: Key) -> None:
    whole = {"name": "name: shop", "services": "services: {a: {image: r/a:1, healthcheck: {test: go}}}"}
    given = {**whole, key.name: key.example}
    read_stack("\n".join(given.values()), {"REGISTRY": "r", "DATABASE_CA": "x"})


def test_the_reference_begins_with_a_file_that_is_accepted() -> None:
    text = render_stack_file().split("```yaml\n")[1].split("```")[0]
    assert read_stack(text, {"REGISTRY": "r", "SHOP_HOSTS": "shop.lab"}).ops.releases == ("web",)


def refused(text: str) -> list[str]:
    with pytest.raises(OpsError) as caught:
        read_stack(text)
    return told(caught.value)


def matches(found: list[str], says: list[str]) -> bool:
    return len(found) == len(says) and all(part in error for part, error in zip(says, found, strict=True))


@pytest.mark.parametrize("case", REFUSED, ids=case_name)
def test_a_wrong_key_is_refused_with_its_place(case: dict[str, Any]) -> None:
    found = refused(around(case["body"], image=case.get("image", "registry/web:1")))
    assert matches(found, case["says"]), "\n".join(found)


@pytest.mark.parametrize("case", REFUSED_STACKS, ids=case_name)
def test_a_wrong_file_is_refused_with_its_place(case: dict[str, Any]) -> None:
    found = refused(case["file"])
    assert matches(found, case["says"]), "\n".join(found)


def test_a_released_stack_reads_whole() -> None:
    stack = read_stack(
        """
name: shop
services:
  web: {image: "${REGISTRY}/shop:${RELEASE}", depends_on: [cache], networks: [edge], healthcheck: &check {test: go}}
  cache: {image: "${REGISTRY}/redis:7", healthcheck: *check}
networks: {edge: {external: true}, back: {driver: bridge, internal: true}}
volumes: {data: , shared: {name: everyones}}
x-ops:
  releases: [web]
  routes: [{name: web, hosts: "${HOSTS}", service: web, port: 80}]
  release_header: X-Version
  drain_limit: 1m
  standby: stopped
  watch: {for: 5m, error_rate: 1.5%, latency: 2s, least_requests: 50, unhealthy_for: 10s}
"""
    )
    assert [service.name for service in stack.start_order()] == ["cache", "web"]
    assert [service.name for service in stack.released] == ["web"]
    assert [service.name for service in stack.accessories] == ["cache"]
    assert stack.services["web"].image == "registry.lab:5000/shop:${RELEASE}"
    assert stack.network_of("edge") == "edge"
    assert (stack.networks["back"].internal, stack.network_of("back")) == (True, "shop_back")
    assert stack.network_of("default") == "shop_default"
    assert {key: volume.name for key, volume in stack.volumes.items()} == {"data": "shop_data", "shared": "everyones"}
    assert stack.ops.routes[0].hosts == ("shop.lab", "www.shop.lab")
    assert stack.ops.watch == WatchPolicy(300, 0.015, 2, 50, 10)
    assert (stack.ops.drain_limit, stack.ops.standby, stack.ops.release_header) == (60, "stopped", "X-Version")
