"""The real converge, transactions included, over a simulated engine that refuses, loses answers or kills us."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plugins.module_utils.converge import Wish, converge, drift, rehearse, remove_stack
from plugins.module_utils.gateway.edge import EdgeFiles
from plugins.module_utils.gateway.host_secrets import HostSecrets
from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.hands import Host, wanted_from
from plugins.module_utils.model.container import ObservedContainer
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.release import Request, deploy
from plugins.module_utils.runtime import ContainerRuntime
from plugins.module_utils.transaction import Transaction
from tests.property.estate_parts import EDGE_TREE, SHA, SHOP_TREE, TOOLS_TREE, UNWATCHED
from tests.property.simulated_engine import FAULTS, KILLED_AFTER, Faults, Killed, SimulatedEngine

FOREIGN = ObservedContainer(
    "theirs", "", "", 0, "running", networks={"theirs": frozenset()}, told={"Config": {}, "Mounts": []}
)
NOT_OURS = ("theirs", "bridge")


class LoopbackHost(Host):
    """Nothing of a stack without routes is asked of an edge."""

    def edge_address(self) -> str:
        return "127.0.0.1"


@contextmanager
def bare_host() -> Iterator[tuple[LoopbackHost, SimulatedEngine]]:
    # On tmpfs where there is one: a thousand syncs of a disk would be most of the time.
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        root = Path(folder)
        engine = SimulatedEngine()
        engine.found[FOREIGN.name] = FOREIGN
        secrets = HostSecrets(root / "secrets", root / "sealed", root / "key", seal=_seal)
        files = EdgeFiles(root / "edge", owner=os.geteuid())
        files.prepare()
        runtime = ContainerRuntime(engine, "test", {})
        yield LoopbackHost(engine, HostState(root / "var", root / "run"), secrets, files, runtime, "test"), engine


def _seal(name: str, _: str) -> str:
    return f"sealed {name}"


def shop(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The shop without routes and configs, whose paths are a real host's."""
    services = {name: dict(service) for name, service in SHOP_TREE["services"].items()}
    del services["web"]["configs"]
    services["cache"]["environment"] = dict(environment or {})
    tree = {**SHOP_TREE, "services": services, "x-ops": {"releases": ["web", "job"]}}
    del tree["configs"]
    return tree


def entry(tree: Mapping[str, Any]) -> dict[str, Any]:
    released = tree.get("x-ops", {}).get("releases", [])
    digests = {name if name in released else one["image"]: f"sha256:{name}" for name, one in tree["services"].items()}
    return {"name": tree["name"], "tree": tree, "digests": digests, "baseline": SHA if released else ""}


def wish(environment: Mapping[str, str] | None = None, key: str = "geheim", *, stacks: int = 3) -> Wish:
    tools = {"name": "tools", "services": {"a": {**TOOLS_TREE["services"]["a"], "depends_on": []}}}
    entries = [entry(EDGE_TREE), entry(shop(environment)), entry(tools)][:stacks]
    names = [one["name"] for one in entries]
    return Wish(entries, {"shop": {"KEY": key}}, names)


def lines(result: Mapping[str, Any]) -> list[str]:
    """The steps of a plan that do something; what a rehearsal sees only waits for is no change."""
    return [str(line) for line in result["plan"] if "await" not in line and not line.startswith("note:")]


FAULT_PLANS = st.lists(
    st.dictionaries(st.integers(1, 40), st.sampled_from(FAULTS), min_size=1, max_size=4), min_size=1, max_size=3
)
CHANGES = st.fixed_dictionaries({"COLOUR": st.sampled_from(["red", "blue"])}) | st.none()


def run(host: Host, engine: SimulatedEngine, asked: Wish, faults: Mapping[int, str]) -> None:
    """One run that may fail or die; the kernel lets its locks go, as it does for a dead process."""
    engine.faults = Faults(faults)
    with suppress(OpsError, Killed):
        converge(host, asked)
    engine.faults = Faults()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(faults=FAULT_PLANS, before=CHANGES, after=CHANGES, rotated=st.booleans())
def test_whatever_went_wrong_the_next_run_converges(
    faults: list[dict[int, str]], before: dict[str, str] | None, after: dict[str, str] | None, rotated: bool
) -> None:
    with bare_host() as (host, engine):
        run(host, engine, wish(before), {})
        data = unnamed_volumes(engine)
        asked = wish(after, "rotated" if rotated else "geheim")
        for plan in faults:
            run(host, engine, asked, plan)
        finish(host, asked)
        assert unnamed_volumes(engine) == data, "a replacement lost data"
        assert engine.found["theirs"] == FOREIGN
        assert not [target for _, target in engine.touched if target in NOT_OURS]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(faults=FAULT_PLANS)
def test_a_bare_host_gets_there_in_the_end(faults: list[dict[int, str]]) -> None:
    with bare_host() as (host, engine):
        for plan in faults:
            run(host, engine, wish(), plan)
        finish(host, wish())


def finish(host: Host, asked: Wish) -> None:
    """Two runs at most: a value that a container still had is taken away by the second."""
    for _ in range(2):
        result = converge(host, asked)
        assert "error" not in result, result["msg"]
    assert lines(rehearse(host, asked)) == []
    assert lines(drift(host, asked.names)) == []
    assert not [name for name in host.engine.containers() if name.endswith(("-next", "-replaced"))]


def unnamed_volumes(engine: SimulatedEngine) -> dict[str, str]:
    return {name: one.told["Mounts"][-1]["Name"] for name, one in engine.found.items() if one.stack and not one.number}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), after=CHANGES)
def test_a_real_run_does_what_the_rehearsal_said(seed: int, after: dict[str, str] | None) -> None:
    draw = random.Random(seed)
    with bare_host() as (host, engine):
        if draw.random() < 0.8:
            converge(host, wish())
            damage(engine, draw)
        asked = wish(after)
        before = (dict(engine.found), dict(engine.nets), dict(engine.vols))
        rehearsed = rehearse(host, asked)
        assert (engine.found, engine.nets, engine.vols) == before, "a rehearsal changed something"
        done = converge(host, asked)
        assert done["plan"] == rehearsed["plan"]
        assert sorted(done["report"]["done"]) == sorted(
            f"{one['action']} {one['target']}" for one in rehearsed["steps"]
        )


def damage(engine: SimulatedEngine, draw: random.Random) -> None:
    names = [name for name, one in engine.found.items() if one.stack]
    for name in draw.sample(names, draw.randint(0, 3)):
        kind = draw.choice(["gone", "stopped", "detached", "updated"])
        found = engine.found[name]
        if kind == "gone":
            del engine.found[name]
        elif kind == "stopped":
            engine.found[name] = replace(found, status="exited", exit_code=1, health="")
        elif kind == "detached":
            engine.found[name] = replace(found, networks={})
        else:
            config = {**found.told["HostConfig"], "Privileged": True}
            engine.found[name] = replace(found, told={**found.told, "HostConfig": config})


# -- saved plans, drift, removal ---------------------------------------------------------------------------------------


def saved_by(host: Host, asked: Wish) -> Wish:
    return replace(asked, saved=json.loads(json.dumps(rehearse(host, asked)["seen"])))


def test_a_saved_plan_is_applied_as_it_was(tmp_path: Path) -> None:
    with bare_host() as (host, _):
        converge(host, wish())
        later = saved_by(host, wish({"COLOUR": "red"}))
        assert converge(host, later)["report"]["done"] == ["replace container shop-cache", "await shop-cache"]
        with pytest.raises(OpsError, match="container shop-cache changed; replace container shop-cache is not needed"):
            converge(host, later)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32))
def test_a_saved_plan_is_refused_exactly_when_the_host_is_another(seed: int) -> None:
    draw = random.Random(seed)
    with bare_host() as (host, engine):
        converge(host, wish())
        later = saved_by(host, wish({"COLOUR": "red"}))
        before = dict(engine.found)
        damage(engine, draw)
        if engine.found == before:
            assert "error" not in converge(host, later)
        else:
            engine.touched.clear()
            with pytest.raises(OpsError, match="this host is not as it was when the plan was saved"):
                converge(host, later)
            assert engine.touched == []


def test_a_saved_plan_is_refused_when_a_secret_was_rotated() -> None:
    with bare_host() as (host, _):
        converge(host, wish())
        later = replace(saved_by(host, wish({"COLOUR": "red"})), secrets={"shop": {"KEY": "rotated"}})
        with pytest.raises(OpsError, match="the value of secret KEY of shop changed") as caught:
            converge(host, later)
        assert "rotated" not in str(caught.value)


def test_drift_is_what_was_done_by_hand_and_not_what_was_declared_since() -> None:
    with bare_host() as (host, engine):
        asked = wish()
        assert "shop was never converged on this host" in drift(host, asked.names)["notes"]
        converge(host, asked)
        assert lines(rehearse(host, wish({"COLOUR": "red"}))) != []
        assert drift(host, asked.names)["plan"] == []
        engine.found["tools-a"] = replace(engine.found["tools-a"], status="exited", exit_code=137)
        assert lines(drift(host, asked.names)) == ["tools/a: start container tools-a (it ended with exit code 137)"]
        assert engine.found["tools-a"].status == "exited"


def test_a_run_that_failed_is_not_what_drift_is_measured_by() -> None:
    with bare_host() as (host, engine):
        converge(host, wish())
        run(host, engine, wish({"COLOUR": "red"}), dict.fromkeys(range(1, 40), FAULTS[0]))
        assert lines(drift(host, ["shop"])) == []


def test_a_stack_that_is_not_declared_is_stopped_and_keeps_its_data_until_it_is_removed_by_name() -> None:
    with bare_host() as (host, engine):
        converge(host, wish())
        volumes = dict(engine.vols)
        without = replace(wish(stacks=1), declared=["edge", "tools"])
        result = converge(host, without)
        assert "error" not in result, result["msg"]
        assert any("shop is not declared any more" in note for note in result["notes"])
        assert not [name for name, one in engine.found.items() if one.stack == "shop" and one.running]
        assert engine.vols == volumes
        assert lines(converge(host, without)) == []

        back = converge(host, wish())
        assert "error" not in back, back["msg"]
        assert lines(rehearse(host, wish())) == []

        before = (dict(engine.found), dict(engine.vols))
        planned = remove_stack(host, "shop", rehearsal=True)
        assert (engine.found, engine.vols) == before
        removed = remove_stack(host, "shop", rehearsal=False)
        assert removed["plan"] == planned["plan"]
        assert not [name for name, one in engine.found.items() if one.stack == "shop"]
        assert engine.vols == {name: owner for name, owner in volumes.items() if owner != "shop"}
        assert (host.state.known("shop"), host.secrets.present()) == (False, {})
        assert [event["action"] for event in host.state.history("shop")][-1] == "remove_stack"
        with pytest.raises(OpsError, match="this host has nothing of a stack 'shop'"):
            remove_stack(host, "shop", rehearsal=True)


@pytest.mark.parametrize("name", ["", "../shop", "./shop", "Shop", "a/b"])
def test_what_is_no_name_of_a_stack_removes_nothing(name: str) -> None:
    with bare_host() as (host, engine):
        converge(host, wish())
        before = (dict(engine.found), dict(engine.nets), dict(engine.vols), host.secrets.present())
        for rehearsal in (True, False):
            with pytest.raises(OpsError, match="name"):
                remove_stack(host, name, rehearsal=rehearsal)
        assert (engine.found, engine.nets, engine.vols, host.secrets.present()) == before
        assert host.state.known("shop")


def test_a_stack_that_is_not_declared_is_not_stopped_while_somebody_changes_it() -> None:
    with bare_host() as (host, engine):
        converge(host, wish())
        without = replace(wish(stacks=1), declared=["edge", "tools"])
        with host.state.locked("shop", "deploy by ann"), pytest.raises(OpsError, match="deploy by ann"):
            converge(host, without)
        assert engine.found["shop-cache"].running


def test_what_is_not_named_is_left_alone() -> None:
    with bare_host() as (host, engine):
        converge(host, wish())
        assert lines(converge(host, replace(wish(stacks=1), declared=None))) == []
        assert engine.found["shop-cache"].running


@pytest.mark.parametrize("end", ["-next", "-replaced"])
def test_a_container_of_others_is_not_removed_for_its_name(end: str) -> None:
    with bare_host() as (host, engine):
        converge(host, wish())
        theirs = replace(FOREIGN, name=f"shop-cache{end}")
        engine.found[theirs.name] = theirs
        result = converge(host, wish({"COLOUR": "red"}))
        assert "it is not ours, and a replacement of shop-cache needs its name" in result["msg"]
        assert any(line.startswith("left: await shop-cache") for line in result["display"])
        assert engine.found[theirs.name] == theirs
        assert engine.found["shop-cache"].running


def test_a_first_plan_can_be_saved_for_a_host_without_a_key() -> None:
    with bare_host() as (host, _):
        later = saved_by(host, wish())
        assert "error" not in converge(host, later)


def test_a_live_release_that_was_changed_goes_live_again_and_its_standby_stays() -> None:
    with bare_host() as (host, engine):
        converge(host, wish())
        first = host.state.record("shop", 1)
        host.state.add_record(replace(first, number=2, release="sha-2222222"))
        Transaction(host, host.state.record("shop", 2), action="deploy").run()
        name = "shop-web-2222222-2"
        config = {**engine.found[name].told["HostConfig"], "Privileged": True}
        engine.found[name] = replace(engine.found[name], told={**engine.found[name].told, "HostConfig": config})
        result = converge(host, wish())
        assert "error" not in result, result["msg"]
        state = host.state.state("shop")
        assert (state.live, state.standby) == (3, 1)
        assert name not in engine.found
        assert {one.number for one in engine.found.values() if one.stack == "shop" and one.number} == {1, 3}
        assert lines(rehearse(host, wish())) == []


def test_a_record_that_cannot_be_read_stops_its_own_stack_alone() -> None:
    with bare_host() as (host, _):
        converge(host, wish())
        (host.state.root / "stacks" / "shop" / "records" / "1.json").write_text("{")
        with pytest.raises(OpsError, match="cannot be read"):
            converge(host, wish())
        edge = replace(wish(stacks=1), declared=None)
        assert "error" not in converge(host, edge)
        assert "error" not in remove_stack(host, "shop", rehearsal=False)


def test_what_a_deploy_added_is_no_drift() -> None:
    with bare_host() as (host, engine):
        converge(host, wish())
        tree = shop()
        tree["services"]["queue"] = {"image": "r/queue:1", "networks": ["back"], "healthcheck": UNWATCHED}
        secrets = {"KEY": "rotated"}
        request = Request(wanted_from(host, entry(tree), secrets), secrets)
        # The accessory that uses the secret is converge's to replace: until then, the old declaration is what holds.
        deploy(host, request, "sha-2222222")
        assert engine.found["shop-queue"].running
        assert [line for line in lines(drift(host, ["shop"])) if "queue" not in line] == []
        secrets = {"KEY": "geheim"}
        deploy(host, Request(wanted_from(host, entry(tree), secrets), secrets), "sha-3333333")
        assert lines(drift(host, ["shop"])) == []


def test_what_was_cut_off_is_told_by_a_rehearsal_and_put_right_by_a_convergence() -> None:
    with bare_host() as (host, engine):
        converge(host, wish())
        host.state.add_record(replace(host.state.record("shop", 1), number=2, release="sha-2222222"))
        engine.faults = Faults({3: KILLED_AFTER})
        with suppress(Killed):
            host.state.begin(Transaction(host, host.state.record("shop", 2), action="deploy").begun)
            ContainerRuntime(engine, "test", {}).start(host.state.record("shop", 2))
        engine.faults = Faults()
        (note,) = [line for line in rehearse(host, wish())["notes"] if "cut off" in line]
        assert note.startswith("shop: a deploy goes on or was cut off")
        result = converge(host, wish())
        assert (result["display"][0], result["changed"]) == (
            "shop: the deploy of sha-2222222 had been cut off; it was undone",
            True,
        )
        assert not [name for name in engine.found if name.endswith("-2")]
        assert not [line for line in rehearse(host, wish())["notes"] if "cut off" in line]
