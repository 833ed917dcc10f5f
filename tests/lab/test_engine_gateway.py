"""The engine's gateway against a real engine: what is created is what was planned, and what is told when it is not."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import replace

import pytest

from plugins.module_utils.gateway import running
from plugins.module_utils.gateway.engine import Engine
from plugins.module_utils.model.container import ObservedContainer, WantedContainer
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.stack import Stack, parse_tree
from plugins.module_utils.plan.containers import wanted_container
from plugins.module_utils.plan.differences import differences
from plugins.module_utils.plan.settings import settings_of, settings_wanted

pytestmark = pytest.mark.lab

IMAGE = "seisei-lab/www:sha-19b9b98"


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine()


@pytest.fixture
def stack(engine: Engine) -> Iterator[Stack]:
    """A stack under a name of its own, with its networks and volume; all of it is taken away again."""
    name = f"h12-{secrets.token_hex(4)}"
    healthy = ["CMD", "python3", "-c", "import os, sys; sys.exit(0 if os.path.exists('/tmp/ok') else 1)"]
    tree = {
        "name": name,
        "services": {
            "web": {
                "image": IMAGE,
                "command": ["python3", "-c", "import time; open('/tmp/ok', 'w'); time.sleep(600)"],
                "environment": {"COLOUR": "blue"},
                "networks": {"one": {"aliases": ["shop.internal"]}, "two": {}},
                "volumes": ["data:/data"],
                "tmpfs": ["/run:size=1m"],
                "healthcheck": {"test": healthy, "interval": "1s", "timeout": "5s", "retries": 2},
                "stop_grace_period": "1s",
                "mem_limit": "64m",
                "pids_limit": 20,
            }
        },
        "networks": {"one": {"internal": True}, "two": {"internal": True}},
        "volumes": {"data": {}},
    }
    found = parse_tree(tree)
    for network in found.networks.values():
        engine.create_network(network.name, internal=network.internal, labels={})
    engine.create_volume(f"{name}_data", {})
    try:
        yield found
    finally:
        for container in engine.api.containers(all=True, filters={"name": f"^/?{name}-"}):
            engine.remove(container["Id"])
        for network in found.networks.values():
            engine.api.remove_network(network.name)
        engine.api.remove_volume(f"{name}_data")


def container(stack: Stack, *command: str) -> WantedContainer:
    """The stack's container, by a tag: an image that was never pushed has no digest."""
    wanted = wanted_container(stack, stack.services["web"], environment="test", digest="sha256:0")
    payload = {**wanted.payload, "Image": IMAGE}
    return replace(wanted, payload={**payload, "Cmd": list(command)} if command else payload)


def differing(wanted: WantedContainer, seen: ObservedContainer) -> list[str]:
    return differences(settings_wanted(wanted.payload, seen.image), settings_of(seen.told, seen.image))


def test_what_is_created_is_what_was_planned(engine: Engine, stack: Stack) -> None:
    wanted = container(stack)
    engine.create(wanted)
    engine.start(wanted.name)
    assert engine.wait_healthy(wanted.name, 30) < 30

    seen = engine.containers(stack=stack.name)[wanted.name]
    assert differing(wanted, seen) == []
    assert (seen.running, seen.health, seen.service, seen.number) == (True, "healthy", "web", 0)
    assert seen.networks.keys() == {f"{stack.name}_one", f"{stack.name}_two"}
    assert seen.networks[f"{stack.name}_one"] >= {"web", "shop.internal"}

    found = engine.inspect(wanted.name) or {}
    host = found["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Memory"]) == (True, ["ALL"], 64 << 20)
    assert (host["PidsLimit"], host["SecurityOpt"]) == (20, ["no-new-privileges:true"])
    assert host["Tmpfs"].keys() == {"/tmp", "/run"}
    assert "COLOUR=blue" in found["Config"]["Env"]
    aliases = found["NetworkSettings"]["Networks"][f"{stack.name}_one"]["Aliases"]
    assert {"web", "shop.internal"} <= set(aliases)
    assert engine.address(wanted.name, f"{stack.name}_two")
    assert engine.pid(wanted.name) > 0


def test_another_definition_differs_in_its_own_words(engine: Engine, stack: Stack) -> None:
    wanted = container(stack)
    engine.create(wanted)
    payload = {**wanted.payload, "Env": ["COLOUR=red", "SHAPE=round"], "User": "1"}
    seen = engine.containers(stack=stack.name)[wanted.name]
    assert differing(replace(wanted, payload=payload), seen) == [
        "environment COLOUR changed (blue -> red)",
        "environment SHAPE added",
        "user the image's -> 1",
    ]
    assert not seen.running


def test_one_that_dies_is_told_with_its_last_words(engine: Engine, stack: Stack) -> None:
    wanted = container(stack, "python3", "-c", "import sys; sys.exit('no database for me')")
    payload = {**wanted.payload, "HostConfig": {**wanted.payload["HostConfig"], "RestartPolicy": {"Name": "no"}}}
    engine.create(replace(wanted, payload=payload))
    engine.start(wanted.name)
    with pytest.raises(OpsError, match="no database for me"):
        engine.wait_healthy(wanted.name, 30)


def test_one_that_stays_ill_is_told(engine: Engine, stack: Stack) -> None:
    wanted = container(stack, "python3", "-c", "import time; time.sleep(600)")
    engine.create(wanted)
    engine.start(wanted.name)
    with pytest.raises(OpsError, match="the container is unhealthy") as caught:
        engine.wait_healthy(wanted.name, 60)
    assert caught.value.do == f"docker logs {wanted.name}"


def test_a_digest_that_is_not_there_is_refused(engine: Engine) -> None:
    with pytest.raises(OpsError, match="the digest does not match: the engine holds nothing"):
        engine.verify(f"10.213.0.3:5000/www@sha256:{'0' * 64}")
    with pytest.raises(OpsError, match="the digest does not match"):
        engine.verify(IMAGE)  # a tag is no digest


def test_a_task_ends_with_its_exit_code_and_its_words(engine: Engine, stack: Stack) -> None:
    task = container(stack, "python3", "-c", "import sys; print('three rows'); sys.exit(3)")
    task = replace(task, payload={**task.payload, "Healthcheck": {"Test": ["NONE"]}})
    host = {**task.payload["HostConfig"], "RestartPolicy": {"Name": "no"}}
    result = engine.run_task(replace(task, payload={**task.payload, "HostConfig": host}), 60)
    assert (result.exit_code, result.output) == (3, "three rows")
    assert engine.inspect(task.name) is None


def test_a_task_that_does_not_end_is_stopped_and_told(engine: Engine, stack: Stack) -> None:
    talk = "import time; print('waiting for a lock', flush=True); time.sleep(600)"
    task = container(stack, "python3", "-c", talk)
    with pytest.raises(OpsError, match=r"did not end within 3 s and was stopped; it says: waiting for a lock"):
        engine.run_task(task, 3)
    assert engine.inspect(task.name) is None


def test_a_task_that_cannot_start_leaves_nothing(engine: Engine, stack: Stack) -> None:
    task = container(stack, "/no/such/program")
    with pytest.raises(OpsError, match="the engine refused"):
        engine.run_task(task, 3)
    assert engine.inspect(task.name) is None


def test_stopping_and_removing_what_is_gone_is_no_error(engine: Engine) -> None:
    name = f"h12-{secrets.token_hex(4)}"
    engine.stop(name)
    engine.remove(name)
    assert engine.inspect(name) is None
    assert engine.pid(name) == 0


def test_an_engine_that_is_not_there_says_what_to_do() -> None:
    with pytest.raises(OpsError, match=r"the engine does not answer.*provision\.yml"):
        Engine("unix:///nonexistent/docker.sock")


def test_a_name_that_is_taken_by_others_is_never_taken_over(engine: Engine, stack: Stack) -> None:
    wanted = container(stack)
    engine.api.create_container(IMAGE, name=wanted.name)
    assert engine.containers(stack=stack.name) == {}, "it is not ours"
    with pytest.raises(OpsError, match=r"already in use .*Next: it is not ours: see docker ps -a"):
        engine.create(wanted)


def test_a_label_that_somebody_else_wrote_is_told_by_its_container(engine: Engine, stack: Stack) -> None:
    name = f"{stack.name}-odd"
    ours = {"ops.seisei.stack": stack.name, "ops.seisei.number": "seven"}
    engine.api.create_container(IMAGE, name=name, labels=ours)
    with pytest.raises(OpsError, match=f"container {name}: its label .* is not as we write it"):
        engine.containers(stack=stack.name)


# -- what is done to one that runs -------------------------------------------------------------------------------------


def started(engine: Engine, stack: Stack, *command: str) -> str:
    wanted = container(stack, *command)
    engine.create(wanted)
    engine.start(wanted.name)
    engine.wait_healthy(wanted.name, 30)
    return wanted.name


def test_a_frozen_container_goes_on_and_proves_its_health_itself(engine: Engine, stack: Stack) -> None:
    name = started(engine, stack)
    running.pause(engine, name)
    running.pause(engine, name)  # again is nothing
    found = engine.containers(stack=stack.name)[name]
    assert (found.status, found.running) == ("paused", False)
    running.unpause(engine, name)
    assert running.prove_health(engine, name, 10) < 10
    running.execute(engine, name, ("rm", "/tmp/ok"), 10)
    with pytest.raises(OpsError, match="ended with exit code 1"):
        running.prove_health(engine, name, 0.5)


def test_a_frozen_container_can_be_stopped(engine: Engine, stack: Stack) -> None:
    name = started(engine, stack)
    running.pause(engine, name)
    engine.stop(name)
    assert engine.containers(stack=stack.name)[name].status == "exited"


def test_a_command_within_says_what_it_wrote_or_why_not(engine: Engine, stack: Stack) -> None:
    name = started(engine, stack)
    said = running.execute(
        engine, name, ("python3", "-c", "import sys; print('out'); print('err', file=sys.stderr)"), 20
    )
    assert said == "out\n"
    with pytest.raises(OpsError, match=r"ended with exit code 3; it says: broken"):
        running.execute(engine, name, ("python3", "-c", "import sys; print('broken'); sys.exit(3)"), 20)
    with pytest.raises(OpsError, match=r"did not end within 0\.2 s"):
        running.execute(engine, name, ("sleep", "5"), 0.2)
    engine.stop(name)
    with pytest.raises(OpsError, match="the engine refused"):
        running.execute(engine, name, ("true",), 5)


def test_a_signal_reaches_the_first_process(engine: Engine, stack: Stack) -> None:
    code = "import signal, time; signal.signal(signal.SIGUSR1, lambda *_: open('/tmp/told', 'w')); open('/tmp/ok', 'w')"
    name = started(engine, stack, "python3", "-c", f"{code}; [time.sleep(0.1) for _ in range(6000)]")
    running.signal(engine, name, "SIGUSR1")
    wait = "import os, time; [time.sleep(0.05) for _ in range(100) if not os.path.exists('/tmp/told')]"
    running.execute(engine, name, ("python3", "-c", f"{wait}; open('/tmp/told')"), 20)
    engine.stop(name)
    running.signal(engine, name, "SIGUSR1")  # one that does not run gets none


def test_an_image_that_is_used_stays(engine: Engine, stack: Stack) -> None:
    started(engine, stack)
    assert IMAGE in engine.images_in_use()
    own = f"{stack.name}/own:1"
    engine.api.tag(IMAGE, f"{stack.name}/own", "1")
    assert running.remove_image(engine, own)
    assert not running.remove_image(engine, own), "it is gone already"
    assert engine.api.inspect_image(IMAGE)
