"""The lab's database server of one environment, as its administrator: a password broken on purpose, and put back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from secrets import token_urlsafe

import psycopg
from labkit.secrets import load_secrets, scram_verifier
from labkit.settings import DATABASE_ADMIN, DATABASES, Lab
from psycopg import sql

from plugins.module_utils.model.errors import OpsError

ROLE = "odoo"


class Database:
    """The server that stands in for an environment's managed database."""

    def __init__(self, lab: Lab, environment: str) -> None:
        self._lab = lab
        self._place = DATABASES[environment]
        self._environment = environment

    @contextmanager
    def wrong_password(self) -> Iterator[None]:
        """While the block lasts the application's password is not the one its server knows.

        However the block ends, the server gets the password of the secrets store back; an impatient second Ctrl-C does
        not keep it from that.
        """
        try:
            self._set_password(token_urlsafe(24))
            self._end_sessions()
            yield
        finally:
            with _deaf():
                self.mend()

    def mend(self) -> None:
        """Give the role the password that the secrets store has for it; harmless when it has it already."""
        self._set_password(self._secret("odoo18-database-password"))

    def _set_password(self, password: str) -> None:
        # As a verifier: the server's log may keep the statement.
        verifier = scram_verifier(password, f"{self._environment}/{ROLE}")
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(ROLE), sql.Literal(verifier))
        with self._connect() as connection:
            connection.execute(statement)

    def _end_sessions(self) -> None:
        """A session outlives its password; ended ones come back with it, as after a failover."""
        with self._connect() as connection:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (ROLE,))

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        try:
            return psycopg.connect(
                host=self._lab.address(self._place.last),
                port=self._place.port,
                dbname="postgres",
                user=DATABASE_ADMIN,
                password=self._secret("postgres-admin-password"),
                sslmode="verify-full",
                sslrootcert=str(self._lab.build / "ca" / "ca.pem"),
                connect_timeout=10,
                autocommit=True,
            )
        except psycopg.Error as error:
            raise OpsError(
                f"its administrator cannot log in ({' '.join(str(error).split())})",
                where=self._place.dns,
                do=".venv/bin/python molecule/lab status",
            ) from error

    def _secret(self, name: str) -> str:
        return load_secrets(self._lab.build / "secrets.json")[f"{self._environment}/{name}"]


@contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C and a polite kill do nothing until the block is over."""
    # Handlers, not a mask: another thread would receive what this one blocks, and the handler would run here after all.
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
