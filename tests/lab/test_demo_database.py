"""The demo's broken password on the lab's real server: broken while the block lasts, right again however it ends."""

from __future__ import annotations

import psycopg
import pytest
from labkit.secrets import load_secrets
from labkit.settings import DATABASES, Lab

from bin.story.database import ROLE, Database

pytestmark = pytest.mark.lab

LAB = Lab()
ENVIRONMENT = "staging"


def log_in() -> psycopg.Connection[tuple[object, ...]]:
    """Log in as the application does, with the password of the secrets store."""
    place = DATABASES[ENVIRONMENT]
    return psycopg.connect(
        host=LAB.address(place.last),
        port=place.port,
        dbname="acme",
        user=ROLE,
        password=load_secrets(LAB.build / "secrets.json")[f"{ENVIRONMENT}/odoo18-database-password"],
        sslmode="verify-full",
        sslrootcert=str(LAB.build / "ca" / "ca.pem"),
        connect_timeout=10,
    )


def test_the_password_is_wrong_inside_and_right_outside() -> None:
    with log_in() as held:
        with Database(LAB, ENVIRONMENT).wrong_password():
            with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
                log_in()
            with pytest.raises(psycopg.OperationalError):
                held.execute("SELECT 1")
        with log_in() as again:
            assert again.execute("SELECT 1").fetchone() == (1,)


def test_an_interruption_puts_the_password_back() -> None:
    with pytest.raises(KeyboardInterrupt):
        _interrupted()
    log_in().close()


def _interrupted() -> None:
    with Database(LAB, ENVIRONMENT).wrong_password():
        raise KeyboardInterrupt


def test_mending_what_is_well_changes_nothing() -> None:
    Database(LAB, ENVIRONMENT).mend()
    log_in().close()
