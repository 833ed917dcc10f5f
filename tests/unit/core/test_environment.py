"""What differs between environments."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.model.document import Node
from plugins.module_utils.model.environment import Environment, LedgerPlace, parse_environment
from plugins.module_utils.model.errors import InvalidInput
from tests.unit.core.core_parts import told


def parsed(**given: Any) -> Environment:
    return parse_environment(Node({"name": "staging", "registry": {"server": "r:5000"}, **given}, "ops_environment"))


def faults(**given: Any) -> list[str]:
    with pytest.raises(InvalidInput) as caught:
        parsed(**given)
    return told(caught.value)


def test_the_least_that_must_be_said() -> None:
    found = parsed()
    assert (found.name, found.registry.server, found.aws.region) == ("staging", "r:5000", "ap-northeast-1")
    assert (found.variables, found.secrets, found.baseline) == ({}, {}, {})
    assert found.ledger == LedgerPlace()


def test_everything_that_can_be_said() -> None:
    found = parsed(
        aws={"region": "eu-west-1", "profile": "lab"},
        object_storage={"bucket": "b"},
        ledger={
            "bucket": "led",
            "prefix": "a/b",
            "endpoint": "https://s3:5000",
            "ca_file": "/ca.pem",
            "region": "eu-west-1",
            "object_lock_days": 3650,
            "object_lock": "compliance",
        },
        variables={"PORT": 5432, "HOST": "db"},
        secrets={"KEY": "staging/key"},
        baseline={"odoo18": "sha-19b9b98"},
    )
    assert (found.aws.region, found.aws.profile, found.object_storage.bucket) == ("eu-west-1", "lab", "b")
    assert found.ledger == LedgerPlace("led", "a/b", "https://s3:5000", "eu-west-1", "/ca.pem", 3650, "compliance")
    assert found.variables == {"PORT": "5432", "HOST": "db"}
    assert (found.secrets, found.baseline) == ({"KEY": "staging/key"}, {"odoo18": "sha-19b9b98"})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": "Staging"}, "ops_environment name: 'Staging' is not an environment's name"),
        ({"registry": {"servr": "x"}}, "registry.servr: 'servr' is not accepted here. Next: did you mean 'server'?"),
        ({"registry": "r:5000"}, "ops_environment registry: expected a mapping, found text"),
        ({"variables": {"host": "x"}}, "variables.host: 'host' is not a variable's name"),
        ({"variables": {"HOST": True}}, "variables.HOST: expected text, found true/false"),
        ({"variables": {"HOSTS": ["a"]}}, "variables.HOSTS: expected text, found a list"),
        ({"secrets": {"KEY-1": "x"}}, "secrets.KEY-1: 'KEY-1' is not a variable's name"),
        ({"baseline": {"www": "latest"}}, "baseline.www: 'latest' is not"),
        ({"ledger": {}}, "ledger: 'bucket' is missing"),
        ({"ledger": {"prefix": "a"}}, "ledger: 'bucket' is missing"),
        ({"ledger": "led"}, "ledger: expected a mapping, found text"),
        ({"ledger": {"bucket": "Led"}}, "ledger.bucket: 'Led' is not a bucket's name"),
        ({"ledger": {"bucket": "led", "prefix": "/a"}}, "ledger.prefix: '/a' is not a path without '/' at its ends"),
        ({"ledger": {"bucket": "led", "prefix": "a/../b"}}, "ledger.prefix: 'a/../b' is not a path"),
        ({"ledger": {"bucket": "led", "endpoint": "s3:5000"}}, "ledger.endpoint: 's3:5000' is not an address"),
        ({"ledger": {"bucket": "led", "object_lock_days": -1}}, "ledger.object_lock_days: -1 is outside 0..3660"),
        ({"ledger": {"bucket": "led", "object_lock": "none"}}, "ledger.object_lock: 'none' is not one of"),
        ({"ledger": {"buckets": "x", "bucket": "led"}}, "ledger.buckets: 'buckets' is not accepted here"),
        ({"basline": {}}, "basline: 'basline' is not accepted here. Next: did you mean 'baseline'?"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(given: dict[str, Any], says: str) -> None:
    (fault,) = faults(**given)
    assert says in fault


def test_a_missing_part_is_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_environment(Node({}, "ops_environment"))
    assert [fault.split(".")[0] for fault in told(caught.value)] == [
        "ops_environment: 'name' is missing",
        "ops_environment: 'registry' is missing",
    ]
