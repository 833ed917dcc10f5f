"""One container takes another's place at a real engine: data stays, and what goes wrong on the way costs no service."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, cast

import pytest

from plugins.module_utils.apply import Apply
from plugins.module_utils.gateway.edge import EdgeFiles
from plugins.module_utils.gateway.engine import Engine
from plugins.module_utils.gateway.host_secrets import HostSecrets
from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.hands import Host
from plugins.module_utils.model.container import WantedContainer
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.stack import parse_tree
from plugins.module_utils.plan.containers import wanted_container
from plugins.module_utils.plan.differences import differences
from plugins.module_utils.plan.settings import settings_of, settings_wanted
from plugins.module_utils.plan.steps import CHANGE, Step
from plugins.module_utils.runtime import Runtime

pytestmark = pytest.mark.lab

IMAGE = "seisei-lab/www:sha-19b9b98"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


@pytest.fixture(scope="module")
def image(engine: Engine) -> Iterator[str]:
    """An image that declares a volume which no stack file names."""
    tag = f"{IMAGE.partition(':')[0]}:with-volume-{secrets.token_hex(4)}"
    made = engine.api.create_container(IMAGE)["Id"]
    engine.api.commit(made, *tag.rsplit(":", 1), changes=["VOLUME /kept"])
    engine.remove(made)
    yield tag
    engine.api.remove_image(tag)


@pytest.fixture
def wanted(engine: Engine, image: str) -> Iterator[WantedContainer]:
    """A container of that image, and afterwards nothing of it."""
    name = f"rep-{secrets.token_hex(4)}"
    service = {
        "image": "r/app:1",
        "user": "0",
        "command": ["python3", "-c", "import time; time.sleep(600)"],
        "healthcheck": {"test": ["CMD", "true"]},
        "stop_grace_period": "1s",
    }
    stack = parse_tree({"name": name, "services": {"db": service}})
    engine.create_network(f"{name}_default", internal=True, labels={})
    made = wanted_container(stack, stack.services["db"], environment="test", digest="sha256:0")
    yield replace(made, payload={**made.payload, "Image": image})
    for container in engine.api.containers(all=True, filters={"name": f"^/?{name}-"}):
        engine.remove(container["Id"], unnamed_volumes=True)
    engine.remove_network(f"{name}_default")


def changed(wanted: WantedContainer, **payload: Any) -> Step:
    return Step("replace container", wanted.name, "why", wanted.stack, CHANGE, detail=with_payload(wanted, **payload))


def with_payload(wanted: WantedContainer, **payload: Any) -> WantedContainer:
    return replace(wanted, payload={**wanted.payload, **payload})


def apply(engine: Engine) -> Apply:
    missing = cast(Runtime, None)
    return Apply(Host(engine, HostState(), HostSecrets(), EdgeFiles(), missing, "test"), {})


def names(engine: Engine, wanted: WantedContainer) -> list[str]:
    listed = engine.api.containers(all=True, filters={"name": wanted.name})
    return sorted(name.lstrip("/") for entry in listed for name in entry["Names"])


def run_in(engine: Engine, name: str, *command: str) -> str:
    made = engine.api.exec_create(name, list(command))
    return bytes(engine.api.exec_start(made["Id"])).decode().strip()


def test_data_in_a_volume_that_nobody_named_is_carried_on(engine: Engine, wanted: WantedContainer) -> None:
    engine.create(wanted)
    engine.start(wanted.name)
    run_in(engine, wanted.name, "sh", "-c", "echo precious >/kept/file")
    apply(engine)._replace(changed(wanted, Env=["COLOUR=red"]))
    assert run_in(engine, wanted.name, "cat", "/kept/file") == "precious"
    assert run_in(engine, wanted.name, "printenv", "COLOUR") == "red"
    assert names(engine, wanted) == [wanted.name]

    # An image that knows the volume no more: the data stays, and is nothing to replace the container for.
    step = changed(wanted, Image=IMAGE)
    apply(engine)._replace(step)
    assert run_in(engine, wanted.name, "cat", "/kept/file") == "precious"
    seen = engine.containers(stack=wanted.stack)[wanted.name]
    assert differences(settings_wanted(step.detail.payload, seen.image), settings_of(seen.told, seen.image)) == []
    assert (
        run_in(engine, wanted.name, "python3", "-c", "import socket; print(socket.gethostbyname('db') != '')") == "True"
    )


def test_what_the_engine_will_not_create_costs_no_service(engine: Engine, wanted: WantedContainer) -> None:
    engine.create(wanted)
    engine.start(wanted.name)
    before = engine.inspect(wanted.name)
    with pytest.raises(OpsError, match="the engine refused"):
        apply(engine)._replace(changed(wanted, Image="seisei-lab/nothing:1"))
    assert engine.inspect(wanted.name) == before


def test_one_that_cannot_start_gives_its_place_back(engine: Engine, wanted: WantedContainer) -> None:
    engine.create(wanted)
    engine.start(wanted.name)
    before = (engine.inspect(wanted.name) or {})["Id"]
    with pytest.raises(OpsError, match="the engine refused"):
        apply(engine)._replace(changed(wanted, Entrypoint=["/no/such/program"]))
    found = engine.inspect(wanted.name) or {}
    assert (found["Id"], found["State"]["Running"]) == (before, True)
    assert names(engine, wanted) == [wanted.name]


@pytest.mark.parametrize("moment", ["create", "stop", "rename", "start", "remove"])
def test_a_death_at_any_moment_loses_no_data(engine: Engine, wanted: WantedContainer, moment: str) -> None:
    engine.create(wanted)
    engine.start(wanted.name)
    run_in(engine, wanted.name, "sh", "-c", "echo precious >/kept/file")

    class Dying(Engine):
        """Dies as a killed process does: after a call of this name, without another one."""

    def die(*given: Any, **named: Any) -> None:
        getattr(Engine, moment)(dying, *given, **named)
        raise KeyboardInterrupt

    dying = Dying()
    setattr(dying, moment, die)
    step = changed(wanted, Env=["COLOUR=red"])
    with pytest.raises(KeyboardInterrupt):
        apply(dying)._replace(step)

    # What the next plan does: what is missing is created, what differs replaced, what runs not is started.
    if engine.inspect(wanted.name) is None:
        apply(engine)._create(step)
    else:
        apply(engine)._replace(step)
    assert run_in(engine, wanted.name, "cat", "/kept/file") == "precious"


def test_a_network_made_anew_has_everybody_under_the_same_names(engine: Engine, wanted: WantedContainer) -> None:
    engine.create(wanted)
    engine.start(wanted.name)
    network = f"{wanted.stack}_default"
    engine.replace_network(network, internal=False, labels={"ops.seisei.stack": wanted.stack})
    found = engine.networks()[network]
    assert (found.internal, found.stack) == (False, wanted.stack)
    seen = engine.containers(stack=wanted.stack)[wanted.name]
    assert "db" in seen.networks[network]
    assert seen.running


def test_what_is_stopped_for_good_is_not_started_by_the_engine(engine: Engine, wanted: WantedContainer) -> None:
    host = {**wanted.payload["HostConfig"], "RestartPolicy": {"Name": "always"}}
    engine.create(with_payload(wanted, HostConfig=host))
    engine.start(wanted.name)
    engine.stay_stopped(wanted.name)
    found = engine.inspect(wanted.name) or {}
    assert (found["State"]["Running"], found["HostConfig"]["RestartPolicy"]["Name"]) == (False, "no")
    engine.stay_stopped("nobody")
