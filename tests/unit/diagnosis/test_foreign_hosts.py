"""Whose database is whose, read from the inventories."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.action.database_diagnosis import foreign_hosts


@pytest.fixture
def inventories(tmp_path: Path) -> Path:
    for inventory, environment in (
        ("lab", "staging"),
        ("lab", "production"),
        ("staging", "staging"),
        ("production", "production"),
    ):
        folder = tmp_path / inventory / "group_vars" / environment
        folder.mkdir(parents=True)
        host = f"db.{environment}.{inventory}"
        text = f"ops_environment:\n  name: {environment}\n  variables: {{ODOO18_DATABASE_HOST: {host}}}\n"
        (folder / "environment.yml").write_text(text, encoding="utf-8")
    return tmp_path


def test_the_other_environment_of_the_same_estate(inventories: Path) -> None:
    found = foreign_hosts("odoo18", "staging", "DB.staging.lab", root=inventories)
    assert found == {"db.production.lab": "production"}
    found = foreign_hosts("odoo18", "production", "db.production.production", root=inventories)
    assert found == {"db.staging.staging": "staging"}


def test_an_estate_that_is_not_known_asks_for_nobody(inventories: Path) -> None:
    assert foreign_hosts("odoo18", "staging", "db.elsewhere", root=inventories) == {}


def test_a_stack_that_runs_its_own_database_has_none(inventories: Path) -> None:
    assert foreign_hosts("ocr", "staging", "", root=inventories) == {}
    assert foreign_hosts("www", "staging", "", root=inventories) == {}


def test_an_environment_that_does_not_say_its_host_is_left_out(inventories: Path) -> None:
    path = inventories / "lab" / "group_vars" / "production" / "environment.yml"
    path.write_text("ops_environment:\n  name: production\n  variables: {}\n", encoding="utf-8")
    assert foreign_hosts("odoo18", "staging", "db.staging.lab", root=inventories) == {}
