"""Applying migrations to real databases, one transaction each."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from .connect import connection_arguments, password_argument
from .log import tell
from .migrations import (
    ChangedMigration,
    Migration,
    MigrationPlan,
    load_migrations,
    plan_migrations,
    shared_head,
)
from .settings import DatabaseSettings, Identity, Settings

# One number for all databases: an advisory lock is local to its database.
LOCK = 0x5E15E1
LOCK_WAIT_S = 60
DDL_LOCK_WAIT_S = 5

HISTORY = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""
# Not to_regclass: within a transaction it answers from a cache that waiting for an advisory lock does not refresh, so
# whoever waited would not see the table that the one before has just made.
HAS_HISTORY = """
SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' AND tablename = 'schema_migrations')
"""
IS_EMPTY = """
SELECT NOT EXISTS (
    SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = 'public' AND relkind IN ('r', 'p', 'v', 'm', 'f')
)
"""

Connection = psycopg.Connection[tuple[object, ...]]


class MigrationFailed(Exception):
    """A migration did not apply; `failure` tells where and why, without any row of data."""

    def __init__(self, failure: dict[str, object]) -> None:
        super().__init__(str(failure.get("error")))
        self.failure = failure


def release_migrations(identity: Identity) -> tuple[Migration, ...]:
    """The migrations this release has."""
    return load_migrations(identity.profile.name, better=identity.better, broken=identity.broken_migration)


def print_head(identity: Identity) -> int:
    """Print the name of this release's newest migration, an empty line when it has none; 0."""
    print(next((migration.name for migration in reversed(release_migrations(identity))), ""))
    return 0


def run_status(settings: Settings) -> int:
    """Print what is applied and what is pending; 0, or 1 when a database cannot be read."""
    return _run(settings, apply=False)


def run_migrate(settings: Settings) -> int:
    """Apply what is pending in every database and print the outcome; 0, or 1 at the first failure."""
    return _run(settings, apply=True)


def apply_base_when_empty(settings: Settings, database: str) -> bool:
    """Apply the first migration to an empty database, as the application's own init does. True when it did.

    Raises psycopg.Error or OSError when the database or its password cannot be had.
    """
    base = release_migrations(settings.identity)[0]
    with _connected(settings, database) as connection:
        # Asked without the lock first: a start does not wait for a migration that is under way.
        if not _one(connection, IS_EMPTY):
            return False
        with connection.transaction():
            _lock(connection)
            if not _one(connection, IS_EMPTY):
                return False
            _apply(connection, base)
    return True


def _run(settings: Settings, *, apply: bool) -> int:
    wanted = release_migrations(settings.identity)
    plans: dict[str, MigrationPlan] = {}
    document: dict[str, object] = {
        "stack": settings.profile.name,
        "release": settings.release,
        "wanted_head": wanted[-1].name if wanted else None,
    }
    failure: dict[str, object] | None = None
    for database in settings.database.names if settings.database else ():
        try:
            with _connected(settings, database) as connection:
                if apply:
                    _apply_pending(connection, database, wanted)
                plans[database] = plan_migrations(wanted, _history(connection))
        except MigrationFailed as error:
            failure = error.failure
        except (psycopg.Error, OSError, ChangedMigration) as error:
            failure = {"database": database, "error": _first_line(error)}
        if failure:
            tell("migration failed", level=logging.ERROR, **failure)
            document["failed"] = failure
            break
    document["head"] = shared_head(plan.head for plan in plans.values())
    document["databases"] = {database: plan.as_dict() for database, plan in plans.items()}
    print(json.dumps(document, ensure_ascii=False), flush=True)
    return 1 if failure else 0


@contextmanager
def _connected(settings: Settings, database: str) -> Iterator[Connection]:
    wanted = _required(settings)
    arguments = connection_arguments(wanted, database, f"{settings.profile.name} {settings.release} migrate")
    with psycopg.connect(**arguments, **password_argument(wanted.password_file), autocommit=True) as connection:
        yield connection


def _required(settings: Settings) -> DatabaseSettings:
    if settings.database is None:
        raise ValueError(f"{settings.profile.name} has no database")
    return settings.database


def _apply_pending(connection: Connection, database: str, wanted: tuple[Migration, ...]) -> None:
    for migration in plan_migrations(wanted, _history(connection)).pending:
        try:
            with connection.transaction():
                _lock(connection)
                # Someone else may have done it while we waited for the lock.
                if migration.name not in _history(connection):
                    _apply(connection, migration)
                    tell("migration applied", database=database, migration=migration.name)
        except psycopg.Error as error:
            raise MigrationFailed(_failure(database, migration, error)) from error


def _apply(connection: Connection, migration: Migration) -> None:
    # A migration waits for no long query: better it fails than that all requests queue behind it.
    _set_lock_wait(connection, DDL_LOCK_WAIT_S)
    connection.execute(migration.sql.encode())
    connection.execute(HISTORY)
    connection.execute(
        "INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)", (migration.name, migration.checksum)
    )


def _lock(connection: Connection) -> None:
    _set_lock_wait(connection, LOCK_WAIT_S)
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))


def _set_lock_wait(connection: Connection, seconds: int) -> None:
    connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(f"{seconds}s")))


def _history(connection: Connection) -> dict[str, str]:
    if not _one(connection, HAS_HISTORY):
        return {}
    rows = connection.execute("SELECT name, checksum FROM schema_migrations").fetchall()
    return {str(name): str(checksum) for name, checksum in rows}


def _one(connection: Connection, query: str) -> bool:
    row = connection.execute(query.encode()).fetchone()
    return bool(row and row[0])


def _failure(database: str, migration: Migration, error: psycopg.Error) -> dict[str, object]:
    told = error.diag
    # The server's DETAIL quotes the row at fault: data has no place in a log.
    return {
        "database": database,
        "migration": migration.name,
        "error": told.message_primary or _first_line(error),
        "sqlstate": error.sqlstate,
        "table": told.table_name,
        "constraint": told.constraint_name,
    }


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
