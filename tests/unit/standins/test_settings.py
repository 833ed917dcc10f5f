"""The environment is read once; what is missing or malformed is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from standin.breakage import Breakage
from standin.settings import SettingsError, read_settings

ODOO = {
    "PROFILE": "odoo18",
    "RELEASE": "sha-19b9b98",
    "DB_HOST": "db.lab",
    "DB_USER": "odoo",
    "DB_PASSWORD_FILE": "/run/secrets/PASSWORD",
    "DB_NAMES": "acme, globex",
    "REDIS_HOST": "redis",
}
WWW = {"PROFILE": "www", "RELEASE": "sha-19b9b98"}


def test_what_the_environment_says() -> None:
    settings = read_settings(ODOO)
    assert settings.database is not None
    assert settings.database.names == ("acme", "globex")
    assert settings.database.password_file == Path("/run/secrets/PASSWORD")
    assert (settings.port, settings.websocket_port, settings.database.pool) == (8069, 8072, 4)
    assert settings.breakage == "none"


def test_an_application_without_parts_needs_no_more_than_its_name() -> None:
    settings = read_settings(WWW)
    assert (settings.database, settings.cache, settings.file_store) == (None, None, None)


@pytest.mark.parametrize("name", ["PROFILE", "RELEASE", "DB_HOST", "DB_USER", "DB_NAMES", "REDIS_HOST"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_missing_variable_is_named(name: str, empty: bool) -> None:
    values = {**ODOO, name: " "} if empty else {key: value for key, value in ODOO.items() if key != name}
    with pytest.raises(SettingsError, match=name):
        read_settings(values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PORT", "54x2"),
        ("DB_PORT", "0"),
        ("DB_PORT", "65536"),
        ("DB_POOL", "-1"),
        ("DB_SSLMODE", "verify"),
        ("DB_TIMEOUT_S", "soon"),
        ("STOP_TIMEOUT_S", "-5"),
        ("ALLOW_FAULTS", "yes"),
        ("BREAK", "everything"),
        ("LOG_LEVEL", "loud"),
        ("TENANT_HOSTS", "demo.lab=initech"),
        ("PROFILE", "odoo17"),
        ("EDITION", "best"),
    ],
)
def test_a_malformed_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({**ODOO, name: value})


@pytest.mark.parametrize(
    ("values", "breakage", "broken_migration"),
    [
        ({"BROKEN": "1"}, "health", True),
        ({"BROKEN": "1", "BREAK": "none"}, "none", True),
        ({"BROKEN": "1", "BREAK": "smoke", "BREAK_MIGRATION": "0"}, "smoke", False),
        ({"BREAK": "late"}, "none", False),
        ({"BREAK": "late", "ALLOW_FAULTS": "1"}, "late", False),
        ({"BREAK_MIGRATION": "1"}, "none", False),
    ],
)
def test_only_a_broken_or_a_willing_release_breaks(
    values: dict[str, str], breakage: str, broken_migration: bool
) -> None:
    settings = read_settings({**WWW, **values})
    assert (settings.breakage, settings.identity.broken_migration) == (breakage, broken_migration)


@pytest.mark.parametrize(
    ("kind", "now", "health", "pages"),
    [
        ("none", 99.0, False, False),
        ("health", 0.0, True, False),
        ("smoke", 0.0, False, True),
        ("late", 19.9, False, False),
        ("late", 20.0, True, True),
    ],
)
def test_what_breaks_when(kind: str, now: float, health: bool, pages: bool) -> None:
    breakage = Breakage(kind, after_s=20.0, started=100.0, clock=lambda: 100.0 + now)
    assert (breakage.of_health(), breakage.of_pages()) == (health, pages)
