"""Schema migrations as a step of their own: a verified backup first, and the old release serving whatever happens."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .procedure_parts import (
    BETTER,
    BROKEN,
    ENVIRONMENT,
    GLASS,
    GOOD,
    HOST,
    Run,
    bring,
    on_host,
    play,
    serving,
    snapshot,
    unchanged,
    visit,
)

pytestmark = [pytest.mark.lab, pytest.mark.slow]

STACK, NAME, DATABASE = "biznexus", "biznexus.production.lab", "biznexus"
FORGET = (
    "ALTER TABLE customers DROP COLUMN IF EXISTS tier; ALTER TABLE orders DROP COLUMN IF EXISTS status;"
    " DELETE FROM schema_migrations WHERE name > '0002'"
)


def sql(statement: str) -> list[str]:
    """Ask the stack's own database."""
    told = on_host(f"docker exec -i {STACK}-db psql -U {STACK} -d {DATABASE} -v ON_ERROR_STOP=1 -At", text=statement)
    return told.splitlines()


def migrations() -> list[str]:
    return sql("SELECT name FROM schema_migrations ORDER BY name")


def migrate(release: str) -> Run:
    return play("migrate", "--limit", ENVIRONMENT, "-e", f"stack={STACK}", "-e", f"release={release}", *GLASS)


@pytest.fixture(autouse=True)
def schema_of_the_first_release(converged: None) -> Iterator[None]:
    """A database that knows the base schema only, before and after."""
    bring(STACK, GOOD)
    sql(FORGET)
    yield
    sql(FORGET)


def test_a_migration_is_backed_up_and_applied_while_the_old_release_serves() -> None:
    before = snapshot(HOST, STACK)
    rehearsal = play(
        "migrate", "--limit", ENVIRONMENT, "-e", f"stack={STACK}", "-e", f"release={BETTER}", *GLASS, "--check"
    )
    assert rehearsal.code == 0, rehearsal.text
    assert f"{STACK}: python3 -m standin migrate in {BETTER}" in rehearsal.text
    assert migrations() == ["0001_base"]
    unchanged(before, snapshot(HOST, STACK))

    run = migrate(BETTER)
    assert run.code == 0, run.text
    (saving,) = [task for task in run.report["tasks"] if task["action"] == "seisei.ops.backup"]
    backup = next(iter(saving["hosts"].values()))["report"]
    assert backup["verified"] is True
    (saved,) = backup["databases"]
    assert (saved["name"], saved["schema_head"]) == (DATABASE, "0001_base")
    assert migrations() == ["0001_base", "0002_add_order_status", "0003_add_customer_tier"]
    assert sql("SELECT DISTINCT tier FROM customers ORDER BY 1")
    unchanged(serving(before, STACK), serving(snapshot(HOST, STACK), STACK))
    assert (visit(NAME).status, visit(NAME).release) == (200, GOOD)

    words = ("-e", f"stack={STACK}", "-e", f"database={DATABASE}", "-e", "target=biznexus_rehearsed", "--check")
    listed = play("restore", "--limit", ENVIRONMENT, *words)
    assert listed.code == 0, listed.text
    assert backup["backup"] in listed.text

    history = play("history", "--limit", ENVIRONMENT, "-e", f"stack={STACK}", "-e", "last=1")
    (event,) = history.told()["rows"]
    assert (event["action"], event["release"], event["outcome"]) == ("migrate", BETTER, "migrated")


def test_a_migration_that_fails_says_why_and_leaves_rows_and_release_alone() -> None:
    before, rows = snapshot(HOST, STACK), sql("SELECT * FROM orders ORDER BY id")
    run = migrate(BROKEN)
    assert run.code == 2
    run.line(f"{STACK} {BROKEN}: the migration ended with exit code 1")
    assert 'check constraint \\"orders_above_a_million\\" of relation \\"orders\\" is violated by some row' in run.text
    assert "Next: the old release serves as before; mend the rows or the migration" in run.text
    assert "0004_broken_on_purpose_orders_above_a_million" not in migrations()
    assert [row.rsplit("|", 1)[0] for row in sql("SELECT * FROM orders ORDER BY id")] == rows
    unchanged(serving(before, STACK), serving(snapshot(HOST, STACK), STACK))
    assert (visit(NAME).status, visit(NAME).release) == (200, GOOD)
    history = play("history", "--limit", ENVIRONMENT, "-e", f"stack={STACK}", "-e", "last=1")
    (event,) = history.told()["rows"]
    assert (event["action"], event["outcome"]) == ("migrate", "migration failed")


def deploy_migrating(release: str) -> Run:
    words = ("-e", f"stack={STACK}", "-e", f"release={release}", "-e", "migrate=true")
    return play("deploy", "--limit", ENVIRONMENT, *words, *GLASS)


def test_a_deploy_backs_up_and_migrates_first_where_it_is_asked_to() -> None:
    run = deploy_migrating(BETTER)
    assert run.code == 0, run.text
    (saving,) = [task for task in run.report["tasks"] if task["action"] == "seisei.ops.backup"]
    (saved,) = next(iter(saving["hosts"].values()))["report"]["databases"]
    assert saved["schema_head"] == "0001_base"
    steps = [line.rpartition(" s  ")[2] for line in run.text.splitlines() if " s  " in line]
    assert steps.index("migrate the schema") < steps.index("start the candidate")
    assert migrations() == ["0001_base", "0002_add_order_status", "0003_add_customer_tier"]
    assert (visit(NAME).status, visit(NAME).release) == (200, BETTER)
    bring(STACK, GOOD)


def test_a_deploy_whose_migration_fails_goes_no_further() -> None:
    before = snapshot(HOST, STACK)
    run = deploy_migrating(BROKEN)
    assert run.code == 2
    run.line(f"{STACK} {BROKEN}: the migration ended with exit code 1")
    unchanged(serving(before, STACK), serving(snapshot(HOST, STACK), STACK))
    assert (visit(NAME).status, visit(NAME).release) == (200, GOOD)
