"""`x-ops.database`: what is taken, and how it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from plugins.module_utils.model.database import Database, parse_database, reject_unknown_references
from plugins.module_utils.model.document import Node

SOUND: dict[str, Any] = {"host": "db.lab", "user": "app", "password": "PASSWORD", "names": ["one"], "tls": "require"}


def errors(changes: dict[str, Any], *leave_out: str) -> list[str]:
    block = {key: value for key, value in {**SOUND, **changes}.items() if key not in leave_out}
    node = Node(block, "s.yml", ("x-ops", "database"))
    parse_database(node)
    return [str(error) for error in node.errors]


def parsed(**changes: Any) -> Database:
    node = Node({**SOUND, **changes}, "s.yml")
    database = parse_database(node)
    node.finish()
    return database


def test_defaults() -> None:
    database = parsed()
    assert (database.engine, database.port, database.pool, database.address) == ("postgresql", 5432, 10, "db.lab")


def test_names_may_be_one_text() -> None:
    assert parsed(names="one, two,").names == ("one", "two")


def test_an_accessory_needs_no_tls() -> None:
    node = Node({"service": "db", "user": "u", "password": "P", "names": "n"}, "s.yml")
    assert parse_database(node).address == "db"
    node.finish()


@pytest.mark.parametrize(
    ("changes", "leave_out", "told"),
    [
        ({"hots": "x"}, (), "did you mean 'host'?"),
        ({}, ("host",), "neither 'host' nor 'service'"),
        ({"service": "db"}, (), "both 'host' and 'service'"),
        ({}, ("tls",), "a database outside the stack needs 'tls'"),
        ({}, ("user",), "the database needs 'user'"),
        ({}, ("password",), "name the secret"),
        ({"names": []}, (), "the database needs 'names'"),
        ({"names": "one,one"}, (), "listed twice"),
        ({"names": ["a b"]}, (), "not a database name"),
        ({"names": ["ü" * 32]}, (), "at most 63 bytes"),
        ({"tls": "verify-full"}, (), "tls verify-full needs 'ca'"),
        ({"ca": "bundle"}, (), "does not verify the certificate"),
        ({"tls": "yes"}, (), "is not one of disable, require, verify-ca, verify-full"),
        ({"port": 0}, (), "outside 1..65535"),
        ({"engine": "mysql"}, (), "not one of postgresql"),
        ({"host": "db lab"}, (), "not a host name"),
        ({"configured_by": {"user": "DB_USER"}}, (), "learns the host"),
        ({"configured_by": {"host": "DB HOST"}}, (), "not the name of an environment variable"),
        ({"configured_by": {"hst": "DB_HOST"}}, (), "did you mean 'host'?"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], leave_out: tuple[str, ...], told: str) -> None:
    found = errors(changes, *leave_out)
    assert any(told in error for error in found), found
    assert all(error.startswith("s.yml x-ops.database") for error in found)


def test_names_of_the_stack_are_checked() -> None:
    node = Node({}, "s.yml")
    database = Database("u", "PASWORD", ("n",), service="dv", tls="verify-ca", ca="bundle")
    reject_unknown_references(node, database, services=["db"], configs=[], secrets=["PASSWORD"])
    told = [str(error) for error in node.errors]
    assert len(told) == 3
    assert "did you mean 'db'?" in told[0]
    assert "declare it, or use one of: none" in told[1]
    assert "did you mean 'PASSWORD'?" in told[2]
