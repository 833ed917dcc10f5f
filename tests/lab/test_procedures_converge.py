"""Convergence: nothing to do means nothing done, both hosts are alike, and what was changed by hand is put right."""

from __future__ import annotations

import re
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
    converge,
    on_host,
    registry_digest,
    serving,
    snapshot,
    unchanged,
    visit,
)

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.usefixtures("converged")]

STACKS = ("www", "langbot", "biznexus")
EDGE_FILES = "/var/lib/seisei/edge/dynamic"


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
    secret = on_host("ls /run/seisei/secrets/ocr/OCR_GEMINI_API_KEY.*").strip()
    config = on_host("ls /var/lib/seisei/configs/odoo18/*-database_ca").strip()
    for command in (
        f"docker stop {web['langbot']}",
        f"docker rm -f {web['www']}",
        f"docker network disconnect biznexus_backend {web['biznexus']}",
        "docker network connect bridge ocr-db",
        "docker network disconnect odoo18_backend odoo18-redis",
        "docker network connect odoo18_backend odoo18-redis",  # back, but not under its name
        f"sed -i 's/{web['www']}/{web['langbot']}/' {EDGE_FILES}/www.yml",
        f"rm {EDGE_FILES}/langbot.yml",
        f"echo '# mine' >>{config}",
        f"echo mine >{secret}",
    ):
        on_host(command)
    # Cut off from its database it turns unhealthy; the rehearsal has to see what the repair will see.
    is_unhealthy = f"docker inspect -f '{{{{.State.Health.Status}}}}' {web['biznexus']} | grep -qx unhealthy"
    on_host(f"for i in $(seq 200); do {is_unhealthy} && exit 0; sleep 0.2; done; exit 1")
    drifted = snapshot(HOST, *STACKS)

    rehearsal = converge("--limit", ENVIRONMENT, "--check", "--diff")
    unchanged(drifted, snapshot(HOST, *STACKS))
    by_hand = {
        f"langbot/web: start container {web['langbot']} (it ended with exit code 143)",
        f"www/web: create container {web['www']} (missing)",
        f"biznexus/web: connect {web['biznexus']} to biznexus_backend (detached by hand)",
        f"biznexus/web: await {web['biznexus']} (it is unhealthy)",
        "ocr/db: disconnect ocr-db from bridge (attached by hand)",
        "odoo18/redis: reconnect odoo18-redis to odoo18_backend (it does not answer to redis there)",
        "www: place route www (differs from the live release)",
        "langbot: place route langbot (missing)",
        f"odoo18: place config {config} (edited by hand)",
        "ocr: place secret ocr/OCR_GEMINI_API_KEY (missing, edited, or without its sealed copy)",
    }
    declared = "biznexus/db: replace container biznexus-db (mem_limit 320m -> 384m)"
    told = {re.sub(r"exit code \d+|not running", "exit code 143", step) for step in rehearsal.steps()}
    told = {step.replace("(exit code 143)", "(it ended with exit code 143)") for step in told}
    assert told >= by_hand | {declared}

    drift = converge("--limit", ENVIRONMENT, "-e", "mode=drift")
    unchanged(drifted, snapshot(HOST, *STACKS))
    assert drift.changed == 1
    assert set(drift.steps()) == set(rehearsal.steps()) - {declared, "biznexus/db: await biznexus-db (started)"}

    repair = converge("--limit", ENVIRONMENT)
    assert repair.steps() == rehearsal.steps() != []
    assert sorted(repair.told()["done"]) == sorted(step.split(": ", 1)[1].split(" (")[0] for step in repair.steps())
    for stack in STACKS:
        assert visit(f"{stack}.production.lab").release == GOOD
        repaired = serving(snapshot(HOST, stack), stack)
        assert repaired["edge"] == wanted[stack]["edge"]
        assert repaired["state"] == wanted[stack]["state"]
        assert places(repaired) == places(wanted[stack])
    assert "mine" not in on_host(f"cat {config} {secret}")
    assert converge("--limit", ENVIRONMENT).changed == 0
    assert converge("--limit", ENVIRONMENT, "-e", "mode=drift").changed == 0


def places(told: dict[str, Any]) -> dict[str, Any]:
    """Each container with what does not change when it is made anew."""
    kept = ("image", "running", "networks", "number")
    return {name: {key: one[key] for key in kept} for name, one in told["containers"].items()}


# What somebody does to the container of a service, and how the plan tells it. {image} is another one than its own.
_LABELS = "--label ops.seisei.stack={stack} --label ops.seisei.service={service} {number}"
_AGAIN = f"--name {{name}} --network {{network}} {_LABELS}"
BY_HAND = {
    "docker update": ("docker update --memory 300m --memory-swap 300m {name}", "mem_limit 300m -> "),
    "made anew": (
        f"docker rm -f {{name}}; docker run -d {_AGAIN} --privileged {{own}} sleep 60",
        "privileged true -> false",
    ),
    "another image": (f"docker rm -f {{name}}; docker create {_AGAIN} {{image}}", "image "),
}


def by_hand(what: str, name: str, network: str, number: str = "") -> str:
    """Have it happen; the words with which the plan begins to tell it."""
    own, image = (on_host(f"docker inspect -f '{{{{.Config.Image}}}}' {one}").strip() for one in (name, "edge-traefik"))
    stack, service = name.split("-")[:2]
    command, reason = BY_HAND[what]
    on_host(command.format(**{**locals(), "number": number}))
    return reason


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("what", BY_HAND)
def test_an_accessory_that_somebody_made_otherwise_is_made_anew(what: str) -> None:
    reason = by_hand(what, "odoo18-redis", "odoo18_backend")
    repair = converge("--limit", ENVIRONMENT)
    assert reason in repair.line("replace container odoo18-redis (")
    assert converge("--limit", ENVIRONMENT).changed == 0


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize("what", ["docker update", "made anew"])
def test_a_live_release_that_somebody_changed_goes_live_again(what: str) -> None:
    name = container("langbot")
    before = snapshot(HOST, "langbot")["state"]["langbot"]
    reason = by_hand(what, name, "edge", f"--label ops.seisei.number={before['live']}")
    repair = converge("--limit", ENVIRONMENT)
    step = repair.line("release again langbot")
    assert f"{name} was changed by hand: " in step
    assert reason in step
    after = snapshot(HOST, "langbot")
    assert name not in after["containers"]
    assert after["state"]["langbot"]["release"] == before["release"] == visit("langbot.production.lab").release
    assert converge("--limit", ENVIRONMENT).changed == 0
