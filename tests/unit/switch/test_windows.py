"""What ends some time after a switch: real state and files, a simulated runtime, an edge that is nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from plugins.module_utils.edge_config import edge_config
from plugins.module_utils.gateway.edge import EdgeApi, EdgeFiles
from plugins.module_utils.gateway.engine import Engine
from plugins.module_utils.gateway.host_secrets import HostSecrets
from plugins.module_utils.gateway.host_state import HostState
from plugins.module_utils.model.release import Release, StackState
from plugins.module_utils.plan.edge_assets import has_old_assets
from plugins.module_utils.pruning import prune_images
from plugins.module_utils.windows import end_windows, has_ended
from tests.unit.core.transaction_parts import LoopbackHost, SimulatedRuntime, release

ROUTES = [{"name": "web", "hosts": "a.example.com", "service": "web", "port": 80}]
ASSETS = [{"path": "/a", "for": "10m"}, {"path": "/b", "for": "1h"}]


class Edge(EdgeApi):
    """Takes whatever it is given."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")

    def differences(self, config: dict[str, Any]) -> list[str]:  # noqa: ARG002 - see EdgeApi
        return []


class Runtime(SimulatedRuntime):
    """Releases have addresses here."""

    def addresses(self, release: Release) -> dict[str, str]:
        return {"web": f"job-web-{release.number}"}

    def stand_by(self, release: Release, how: str) -> None:
        super().stand_by(release, how)
        if how == "stopped":
            del self.running[release.number]


class Host(LoopbackHost):
    def edge_api(self) -> EdgeApi:
        return Edge()


@pytest.fixture
def switched(tmp_path: Path) -> Host:
    """Release 4 went live just now, release 3 is its standby, and answers for old assets."""
    state, files = HostState(tmp_path / "var", tmp_path / "run"), EdgeFiles(tmp_path / "edge", owner=os.geteuid())
    files.prepare()
    secrets = HostSecrets(tmp_path / "secrets", tmp_path / "sealed", tmp_path / "key")
    found = Host(cast(Engine, None), state, secrets, files, Runtime({3: True, 4: True}), "test")
    for number in (1, 2):
        state.add_record(release(number))
    ops = {"releases": ["web"], "routes": ROUTES, "assets": ASSETS, "standby_for": "24h"}
    services = {"web": {"image": "r/job:${RELEASE}", "healthcheck": {"disable": True}}}
    for number in (3, 4):
        tree = {"name": "job", "services": services, "x-ops": ops}
        found.state.add_record(replace(release(number), tree=tree))
    found.state.set_state("job", StackState(live=4, standby=3, last=4))
    found.state.tell("job", {"outcome": "done", "number": 4})
    found.files.place("job", edge_config(found, found.state.record("job", 4), found.state.record("job", 3)))
    return found


def after(**passed: float) -> datetime:
    return datetime.now(UTC) + timedelta(**passed)


def routers(host: Host) -> set[str]:
    return set(host.files.all()["job"]["http"]["routers"])


def test_before_their_time_nothing_ends(switched: Host) -> None:
    assert end_windows(switched, "job") == []
    assert routers(switched) == {"job-web", "job-web.a", "job-web.b"}


def test_each_path_ends_in_its_time_and_is_told_once(switched: Host) -> None:
    assert end_windows(switched, "job", after(minutes=11)) == ["job: sha-0000003 answers for /a no more"]
    assert routers(switched) == {"job-web", "job-web.b"}
    assert end_windows(switched, "job", after(minutes=12)) == []
    [told] = end_windows(switched, "job", after(minutes=61))
    assert "/b" in told
    assert not has_old_assets(switched.files.all()["job"])
    assert end_windows(switched, "job", after(minutes=62)) == []


def test_the_standby_stops_in_its_time_and_the_edge_lets_go_of_it_before(switched: Host) -> None:
    told = end_windows(switched, "job", after(hours=25))
    assert len(told) == 2
    assert not has_old_assets(switched.files.all()["job"])
    assert cast(Runtime, switched.runtime).put == {3: "stopped"}
    assert end_windows(switched, "job", after(hours=26)) == []
    event = switched.state.history("job")[-1]
    assert (event["action"], event["release"], event["outcome"]) == ("end_windows", "sha-0000003", "ended")
    assert event["why"].count("sha-0000003") == 2


def ends(host: Host, **passed: float) -> bool:
    return has_ended(host.state, host.files, "job", after(**passed))


def test_looking_says_when_there_is_something_to_end(switched: Host) -> None:
    assert [ends(switched, minutes=one) for one in (0, 9, 11, 61, 60 * 25)] == [False, False, True, True, True]
    for minutes in (11, 61, 60 * 25):
        end_windows(switched, "job", after(minutes=minutes))
        assert not ends(switched, minutes=minutes + 1)


def test_looking_loads_no_sdk() -> None:
    code = "import sys, plugins.module_utils.windows; sys.exit('docker' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_standby_without_a_window_waits_for_ever(switched: Host) -> None:
    switched.state.set_state("job", StackState(live=4, standby=2, last=4))
    switched.files.place("job", edge_config(switched, switched.state.record("job", 4)))
    assert end_windows(switched, "job", after(days=400)) == []


@pytest.mark.parametrize("state", [StackState(), StackState(live=4, last=4)])
def test_without_a_standby_nothing_ends(switched: Host, state: StackState) -> None:
    switched.state.set_state("job", state)
    assert end_windows(switched, "job", after(hours=25)) == []


def test_images_go_and_those_of_others_stay(switched: Host) -> None:
    runtime = cast(Runtime, switched.runtime)
    for number in range(5, 10):
        found = replace(release(number), digests={"web": f"sha256:{number}"})
        switched.state.add_record(found)
        switched.state.tell("job", {"outcome": "done", "number": number})
    switched.state.add_record(replace(release(1), stack="twin", digests={"web": "sha256:6"}))
    switched.state.set_state("job", StackState(live=9, standby=8, last=9))
    runtime.held = {f"r/job@sha256:{number}" for number in range(1, 10)}
    assert prune_images(switched, "job", 3) == ["r/job@sha256:1", "r/job@sha256:5"]  # 6 is named by a twin
    assert runtime.held == {f"r/job@sha256:{number}" for number in (2, 3, 4, 6, 7, 8, 9)}
