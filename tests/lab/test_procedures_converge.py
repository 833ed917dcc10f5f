"""Convergence: nothing to do means nothing done, both hosts are alike, and what was changed by hand is put right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import testinfra

from .procedure_parts import (
    ADDRESSES,
    ENVIRONMENT,
    GOOD,
    HOST,
    LAB,
    REGISTRY,
    Checkout,
    Run,
    bring,
    on_host,
    play,
    registry_digest,
    serving,
    snapshot,
    unchanged,
    visit,
)

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.usefixtures("converged")]

STACKS = ("www", "langbot", "biznexus")
EDGE_FILES = "/var/lib/seisei/edge/dynamic"


def converge(*words: str, **options: Any) -> Run:
    run = play("converge", *words, **options)
    assert run.code == 0, run.text
    return run


def test_the_second_convergence_changes_nothing() -> None:
    converge()
    before = {host: snapshot(host) for host in ADDRESSES}
    second = converge()
    assert second.changed == 0, second.text
    assert second.steps() == []
    unchanged(before, {host: snapshot(host) for host in ADDRESSES})


def services(host: str) -> dict[tuple[str, str], dict[str, Any]]:
    """What serves on a host, by stack and service, as its engine tells."""
    keys = LAB / "ssh"
    machine = testinfra.get_host(
        f"ssh://root@{ADDRESSES[host]}",
        ssh_identity_file=str(keys / "id_ed25519"),
        ssh_extra_args=f"-F none -o UserKnownHostsFile={keys / 'known_hosts'} -o IdentitiesOnly=yes",
    )
    live = {stack: state["live"] for stack, state in snapshot(host)["state"].items() if state.get("live")}
    found = {}
    for container in machine.docker.get_containers(label="ops.seisei.stack"):
        told = container.inspect()
        labels = told["Config"]["Labels"]
        stack, number = labels["ops.seisei.stack"], int(labels.get("ops.seisei.number", 0))
        if number in (0, live.get(stack)):
            assert container.is_running, container.name
            found[stack, labels["ops.seisei.service"]] = {
                "image": told["Config"]["Image"],
                "release": labels.get("ops.seisei.release", ""),
                "health": told["State"].get("Health", {}).get("Status", ""),
                "ran": told["Image"],
            }
    return found


def test_both_hosts_serve_the_same_images_which_are_the_registrys() -> None:
    staging, production = services("staging-1"), services("production-1")
    assert staging.keys() == production.keys()
    assert len(staging) >= 9
    for key, one in staging.items():
        other = production[key]
        assert one["health"] == other["health"] == "healthy", key
        for told in (one, other):
            name, digest = told["image"].removeprefix(f"{REGISTRY}/").split("@")
            if told["release"]:
                assert digest == registry_digest(name, told["release"]), key
        # What a release replaces may be ahead on staging; everything else never is.
        if one["release"] == other["release"]:
            assert (one["image"], one["ran"]) == (other["image"], other["ran"]), key


@pytest.fixture
def good() -> Iterator[None]:
    """The stacks of these tests at their good release, before and after."""
    for stack in STACKS:
        bring(stack, GOOD)
    yield
    converge("--limit", ENVIRONMENT)


def container(stack: str) -> str:
    """The name of the stack's live container."""
    told = snapshot(HOST, stack)
    live = told["state"][stack]["live"]
    return next(str(name) for name, one in told["containers"].items() if one["number"] == live)


@pytest.mark.usefixtures("good")
def test_drift_is_explained_in_a_rehearsal_and_repaired(checkout: Checkout) -> None:
    # The database of biznexus runs with other settings than it should: somebody converged an unfinished change.
    checkout.replace("inventories/stacks/biznexus.yml", "mem_limit: 384m", "mem_limit: 320m")
    converge("--limit", ENVIRONMENT, checkout=checkout.root)
    wanted = {stack: serving(snapshot(HOST, stack), stack) for stack in STACKS}
    web = {stack: container(stack) for stack in STACKS}
    for command in (
        f"docker stop {web['langbot']}",
        f"docker rm -f {web['www']}",
        f"docker network disconnect biznexus_backend {web['biznexus']}",
        f"sed -i 's/{web['www']}/{web['langbot']}/' {EDGE_FILES}/www.yml",
        f"rm {EDGE_FILES}/langbot.yml",
    ):
        on_host(command)
    # Cut off from its database it turns unhealthy; the rehearsal has to see what the repair will see.
    is_unhealthy = f"docker inspect -f '{{{{.State.Health.Status}}}}' {web['biznexus']} | grep -qx unhealthy"
    on_host(f"for i in $(seq 200); do {is_unhealthy} && exit 0; sleep 0.2; done; exit 1")
    drifted = snapshot(HOST, *STACKS)

    rehearsal = converge("--limit", ENVIRONMENT, "--check", "--diff")
    unchanged(drifted, snapshot(HOST, *STACKS))
    assert set(rehearsal.steps()) >= {
        f"langbot: start container {web['langbot']} (not running)",
        f"www: create container {web['www']} (missing)",
        f"biznexus: connect {web['biznexus']} to biznexus_backend (detached by hand)",
        f"biznexus: await {web['biznexus']} (it is unhealthy)",
        "biznexus: replace container biznexus-db (HostConfig.Memory changed, HostConfig.MemorySwap changed)",
        "www: place route www (differs from the live release)",
        "langbot: place route langbot (missing)",
    }

    repair = converge("--limit", ENVIRONMENT)
    assert repair.steps() == rehearsal.steps() != []
    assert sorted(repair.told()["done"]) == sorted(step.split(": ", 1)[1].split(" (")[0] for step in repair.steps())
    for stack in STACKS:
        assert visit(f"{stack}.production.lab").release == GOOD
        repaired = serving(snapshot(HOST, stack), stack)
        assert repaired["edge"] == wanted[stack]["edge"]
        assert repaired["state"] == wanted[stack]["state"]
        assert places(repaired) == places(wanted[stack])
    assert converge("--limit", ENVIRONMENT).changed == 0


def places(told: dict[str, Any]) -> dict[str, Any]:
    """Each container with what does not change when it is made anew."""
    kept = ("image", "running", "networks", "number")
    return {name: {key: one[key] for key in kept} for name, one in told["containers"].items()}
