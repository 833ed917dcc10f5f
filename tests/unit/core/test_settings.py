"""What the engine says, in the words of the stack file; and the sentences for what differs. The cases are data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from plugins.module_utils.plan.differences import ANY, differences
from plugins.module_utils.plan.settings import settings_of, settings_wanted
from tests.unit.core.core_parts import case_name, cases

ID = "0123456789abcdef"
ALWAYS = {"restart": "no", "init": False, "stop_grace_period": "10s", "read_only": False}


def plain(value: Any) -> Any:
    """As YAML has it: lists instead of tuples."""
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("case", cases("settings"), ids=case_name)
def test_what_the_engine_says(case: dict[str, Any]) -> None:
    config = {"Hostname": ID[:12], **case["engine"].get("Config", {})}
    inspect = {"Id": ID, "Config": config, "HostConfig": case["engine"].get("HostConfig", {})}
    assert plain(settings_of(inspect, {"Config": case.get("image", {})})) == {**ALWAYS, **case["settings"]}


@pytest.mark.parametrize("case", cases("differences"), ids=case_name)
def test_what_differs(case: dict[str, Any]) -> None:
    assert differences(case["wanted"], case["observed"]) == case["said"]


def test_nothing_at_all_has_settings() -> None:
    assert settings_of({}, {}) == ALWAYS


IMAGE: Mapping[str, Any] = {
    "Config": {
        "Env": ["PATH=/bin", "A=1"],
        "Cmd": ["serve"],
        "Entrypoint": ["run"],
        "User": "999",
        "WorkingDir": "/data",
        "Labels": {"x": "1"},
        "ExposedPorts": {"80/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "ok"], "Interval": 1_000_000_000},
        "StopSignal": "SIGINT",
    }
}


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({}, {}),
        ({"Env": ["A=1", "B=2"], "Labels": {"x": "1"}, "User": "999"}, {"environment": {"B": "2"}}),
        ({"Cmd": ["serve"]}, {}),
        ({"Cmd": ["x"]}, {"command": ("x",)}),
        ({"Entrypoint": ["x"]}, {"entrypoint": ("x",)}),
        ({"Entrypoint": []}, {"entrypoint": ()}),
        ({"Entrypoint": [""], "Cmd": ["x"]}, {"entrypoint": (), "command": ("x",)}),
        ({"Healthcheck": {"Interval": 1_000_000_000}}, {}),
        ({"Healthcheck": {"Test": ["NONE"]}}, {"healthcheck": {"test": ("NONE",)}}),
        ({"HostConfig": {"Memory": 1024}}, {"mem_limit": "1k", "memswap_limit": "2k"}),
    ],
)
def test_what_the_engine_will_say(payload: dict[str, Any], said: dict[str, Any]) -> None:
    filled = {"ulimits": {ANY: ANY}, "logging": {ANY: ANY}}
    assert settings_wanted(payload, IMAGE) == {**ALWAYS, **filled, **said}


DAEMON: Mapping[str, Any] = {
    "log-driver": "json-file",
    "log-opts": {"max-size": "10m", "max-file": "5"},
    "default-ulimits": {"nofile": {"Name": "nofile", "Soft": 8, "Hard": 8}},
}
FILLED = {
    "LogConfig": {"Type": "json-file", "Config": dict(DAEMON["log-opts"])},
    "Ulimits": list(DAEMON["default-ulimits"].values()),
}


def test_the_daemons_defaults_are_nobodys_settings() -> None:
    observed = settings_of({"HostConfig": FILLED}, {}, DAEMON)
    assert observed == ALWAYS
    assert settings_wanted({}, {}, DAEMON) == observed
    assert differences(settings_wanted({}, {}), settings_of({"HostConfig": FILLED}, {})) == []


def test_an_option_beside_the_daemons() -> None:
    payload = {"HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "1m"}}}}
    filled = {**FILLED, "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "5"}}}
    for daemon in (DAEMON, None):
        wanted = settings_wanted(payload, {}, daemon)
        assert differences(wanted, settings_of({"HostConfig": filled}, {}, daemon)) == []
        assert differences(wanted, settings_of({"HostConfig": FILLED}, {}, daemon))


def test_what_the_file_no_longer_says_is_seen_when_the_daemon_is_known() -> None:
    by_hand = {**FILLED, "Ulimits": [{"Name": "nofile", "Soft": 9, "Hard": 9}]}
    assert differences(settings_wanted({}, {}, DAEMON), settings_of({"HostConfig": by_hand}, {}, DAEMON)) == [
        "ulimit nofile removed"
    ]


def test_another_driver_takes_none_of_the_daemons_options() -> None:
    payload = {"HostConfig": {"LogConfig": {"Type": "local"}}}
    assert settings_wanted(payload, {}, DAEMON)["logging"] == {"driver": "local"}


@pytest.mark.parametrize(("names", "knows"), [({"Aliases": None}, False), ({"Aliases": None, "DNSNames": None}, True)])
def test_an_engine_without_start_interval_is_known_by_its_networks(names: dict[str, Any], knows: bool) -> None:
    inspect = {
        "Config": {"Healthcheck": {"Test": ["CMD", "x"], "StartPeriod": 1}},
        "NetworkSettings": {"Networks": {"n": names}},
    }
    assert ("start_interval" in settings_of(inspect, {})["healthcheck"]) is knows


def test_aliases_are_compared_when_they_are_wanted() -> None:
    inspect = {"Id": ID, "NetworkSettings": {"Networks": {"back": {"Aliases": ["db", ID[:12]], "DNSNames": []}}}}
    observed = settings_of(inspect, {})
    filled = {"logging": {ANY: ANY}, "ulimits": {ANY: ANY}}
    assert differences({**ALWAYS, **filled}, observed) == []
    assert differences(settings_wanted({}, {}, networks={"back": ("db",)}), observed) == []
    assert differences(settings_wanted({}, {}, networks={"back": ("db", "x")}), observed) == [
        "network back aliases db -> db, x"
    ]
