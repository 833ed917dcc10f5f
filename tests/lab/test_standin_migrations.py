"""Migrations of the stand-ins, in a real database: forward, failing, twice at once, stopped."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from tests.lab.standin_parts import BETTER, BROKEN, GOOD, Place, in_background, wait_for

pytestmark = pytest.mark.lab

MIGRATION_LOCK = 0x5E15E1


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(docker.from_env(), tmp_path_factory.mktemp("secrets"))
    try:
        yield place
    finally:
        place.close()


def counts(place: Place, database: str) -> tuple[Any, ...]:
    with place.connect(database) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM res_partner), count(*), sum(amount_total) FROM sale_order"
        ).fetchone()
    assert row is not None
    return row


def waiting_for_lock(place: Place, database: str) -> int:
    with place.connect(database) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database"
            " WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted"
        ).fetchone()
    assert row is not None
    return int(row[0])


def migrate(place: Place, release: str, database: str, *options: str) -> tuple[int, dict[str, Any]]:
    code, out, _ = place.run("odoo18", release, "migrate", *options, database=database)
    return code, json.loads(out)


def test_migrations_go_forward_and_a_failing_one_leaves_all_as_it_was(place: Place) -> None:
    name = place.create_database()
    code, told = migrate(place, GOOD, name)
    assert (code, told["head"], told["databases"][name]["pending"]) == (0, "0002_add_order_note", [])
    before = counts(place, name)
    assert before[1] > 500

    code, told = migrate(place, BROKEN, name)
    assert code == 1
    assert told["failed"]["migration"] == "0004_broken_on_purpose_orders_above_a_million"
    assert told["failed"]["sqlstate"] == "23514"
    assert told["failed"]["constraint"] == "sale_order_above_a_million"
    code, told = migrate(place, GOOD, name, "--status")
    assert (code, told["head"], counts(place, name)) == (0, "0002_add_order_note", before)

    code, told = migrate(place, BETTER, name, "--status")
    assert told["databases"][name]["pending"] == ["0003_add_loyalty_points"]
    code, told = migrate(place, BETTER, name)
    assert (code, told["head"], counts(place, name)) == (0, "0003_add_loyalty_points", before)


def test_a_release_serves_with_the_schema_of_the_one_before_and_after(place: Place) -> None:
    name = place.create_database()
    as_json = {"Accept": "application/json"}
    with place.app("odoo18", BETTER, database=name) as app:
        assert app.wait_for_health(200)["parts"][f"database:{name}"]["schema"] == "0001_base"
        assert "loyalty_points" not in app.get("/", headers=as_json).json()
        migrate(place, BETTER, name)
        assert int(app.get("/", headers=as_json).json()["loyalty_points"]) > 0
    with place.app("odoo18", GOOD, database=name) as app:
        assert app.wait_for_health(200)["parts"][f"database:{name}"]["schema"] == "0003_add_loyalty_points"
        assert app.get("/").status_code == 200
    code, told = migrate(place, GOOD, name)
    assert (code, told["databases"][name]["unknown"]) == (0, ["0003_add_loyalty_points"])


def test_every_tenant_is_migrated(place: Place) -> None:
    one, two = place.create_database(), place.create_database()
    migrate(place, BETTER, one)
    code, told = migrate(place, GOOD, f"{one},{two}")
    assert (code, told["head"], told["databases"][two]["head"]) == (0, "mixed", "0002_add_order_note")
    code, told = migrate(place, BETTER, f"{one},{two}")
    assert (code, told["head"]) == (0, "0003_add_loyalty_points")


def test_two_at_once_migrate_once(place: Place) -> None:
    name = place.create_database()
    with place.connect(name) as connection:
        # Both have read the empty database and wait at the lock before either may go on.
        connection.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        both = [in_background(migrate, place, BETTER, name) for _ in range(2)]
        wait_for(lambda: waiting_for_lock(place, name) == 2 or None, "two wait for the lock")
    assert [future.result()[1].get("failed") for future in both] == [None, None]
    with place.connect(name) as connection:
        row = connection.execute("SELECT count(*) FROM schema_migrations").fetchone()
    assert row == (3,)


def test_a_migration_that_is_stopped_leaves_at_once(place: Place) -> None:
    name = place.create_database()
    with place.connect(name) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        with place.start("odoo18", GOOD, "migrate", database=name) as container:
            wait_for(lambda: waiting_for_lock(place, name) == 1 or None, "it waits for the lock")
            started = time.monotonic()
            container.kill("SIGTERM")
            assert container.wait(timeout=60)["StatusCode"] == 143
            assert time.monotonic() - started < 3
    code, told = migrate(place, GOOD, name, "--status")
    assert (code, told["head"]) == (0, None)


def test_an_unreachable_database_is_one_sentence(place: Place) -> None:
    code, told = migrate(place, GOOD, "no_such_database")
    assert code == 1
    assert "does not exist" in told["failed"]["error"]


def test_the_release_tells_its_head_without_a_database(place: Place) -> None:
    assert place.run("odoo18", BETTER, "migrate", "--head", DB_HOST="")[:2] == (
        0,
        "0003_add_loyalty_points\n",
    )
    assert place.run("www", BETTER, "migrate", "--head")[:2] == (0, "\n")
    code, out, _ = place.run("www", GOOD, "migrate")
    assert (code, json.loads(out)["head"], json.loads(out)["databases"]) == (0, None, {})
