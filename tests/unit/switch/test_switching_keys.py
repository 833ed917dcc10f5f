"""The keys of a stack file about how the old release leaves and waits: good ones, and bad ones with what they say."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from plugins.module_utils.model.database import Database
from plugins.module_utils.model.errors import InvalidInput
from plugins.module_utils.model.ops import GoingBack, Ops
from plugins.module_utils.model.stack import parse_tree
from plugins.module_utils.model.switching import Asset, Notice

TREE = """
name: shop
services: {web: {image: "r/shop:${RELEASE}", healthcheck: {test: go}}}
secrets: {PASSWORD: {environment: PASSWORD}}
"""
DATABASE = {"host": "db", "tls": "disable", "user": "u", "password": "PASSWORD", "names": "n"}


def ops(**keys: Any) -> Ops:
    tree = yaml.safe_load(TREE)
    routes = [{"name": "web", "hosts": "a.example.com", "service": "web", "port": 80}]
    tree["x-ops"] = {"releases": ["web"], "routes": routes, **keys}
    return parse_tree(tree, "stack.yml").ops


def test_without_them_nothing_is_new() -> None:
    found = ops()
    assert (found.drain_notice, found.standby, found.standby_for, found.keep, found.assets) == (
        None,
        "running",
        0,
        5,
        (),
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("SIGUSR1", Notice("SIGUSR1")),
        ("SIGRTMIN+3", Notice("SIGRTMIN+3")),
        (["python3", "-m", "leave"], Notice(command=("python3", "-m", "leave"))),
    ],
)
def test_a_notice(written: Any, read: Notice) -> None:
    assert ops(drain_notice=written).drain_notice == read


def test_a_standby_and_what_is_kept() -> None:
    found = ops(standby="paused", standby_for="24h", keep=3)
    assert (found.standby, found.standby_for, found.keep) == ("paused", 86400, 3)


def test_assets() -> None:
    found = ops(assets=[{"path": "/_next/static"}, {"path": "/static", "for": "10m"}]).assets
    assert found == (Asset("/_next/static", 3600), Asset("/static", 600))


def test_a_database_may_be_switched_stop_first() -> None:
    found = ops(database={**DATABASE, "when_short": "stop_first"}).database
    assert isinstance(found, Database)
    assert found.when_short == "stop_first"
    assert ops(database=DATABASE).database != found


def test_migrations_say_where_they_stand_and_what_going_back_means() -> None:
    migrate = {"service": "web", "command": ["m"], "status": ["m", "--status"]}
    found = ops(migrate={**migrate, "going_back": {"safe": ["*_add_*"], "impossible": ["*_drop_*"]}}).migrate
    assert found
    assert found.status == ("m", "--status")
    assert found.going_back == GoingBack(safe=("*_add_*",), impossible=("*_drop_*",))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"drain_notice": "SIGTERM"}, "ends a process"),
        ({"drain_notice": "USR1"}, "'USR1' is not a signal"),
        ({"drain_notice": "SIGKILL"}, "'SIGKILL' is not a signal"),
        ({"drain_notice": []}, "the notice says nothing"),
        ({"drain_notice": {"signal": "SIGUSR1"}}, "expected a list, found a mapping"),
        ({"standby": "warm"}, "not one of running, paused, stopped"),
        ({"standby_for": "a day"}, "is not a duration"),
        ({"keep": 1}, "outside 2..100"),
        ({"assets": [{"for": "1h"}]}, "assets need 'path'"),
        ({"assets": [{"path": "static"}]}, "is not a path such as /_next/static"),
        ({"assets": [{"path": "/static/"}]}, "is not a path such as /_next/static"),
        ({"assets": [{"path": "/a`b"}]}, "is not a path such as /_next/static"),
        ({"assets": [{"path": "/a", "for": "0s"}]}, "not a time to keep old assets"),
        ({"assets": [{"path": "/a", "for": "200h"}]}, "not a time to keep old assets"),
        ({"assets": [{"path": "/a"}, {"path": "/a/b"}]}, "'/a/b' is named by another entry"),
        ({"assets": [{"path": "/a"}], "standby": "stopped"}, "a standby that is stopped answers for no assets"),
        ({"assets": [{"path": "/a", "for": "2h"}], "standby_for": "1h"}, "the standby only runs for 3600 s"),
        ({"database": {**DATABASE, "when_short": "wait"}}, "not one of refuse, stop_first"),
        ({"migrate": {"service": "web", "command": ["m"], "going_back": {"never": ["x"]}}}, "'never' is not accepted"),
        ({"migrate": {"service": "web", "command": ["m"], "status": "m"}}, "expected a list"),
        (
            {"smoke": [{"name": "a", "path": "/", "login": {"path": "/l", "fields": {"p": {"secret": "NO"}}}}]},
            "there is no secret 'NO'",
        ),
    ],
)
def test_refuses(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        ops(**keys)
    assert said in str(caught.value)
