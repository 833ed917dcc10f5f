"""Pools of connections, one per database, that come back by themselves."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from .connect import connection_arguments, password_argument
from .log import tell
from .migrate import apply_base_when_empty
from .settings import DatabaseSettings, Settings

Row = dict[str, Any]
Connection = psycopg.AsyncConnection[Row]
RETRY_INIT_S = 1.0
IDLE_S = 60.0


class DatabaseUnavailable(Exception):
    """A database cannot be used now; the text is one line, without secrets."""


class Database:
    """One database behind its pool."""

    def __init__(self, settings: Settings, wanted: DatabaseSettings, name: str) -> None:
        self.name = name
        self._settings = settings
        self._timeout_s = wanted.timeout_s
        self._last_error = "no connection became free"
        arguments = connection_arguments(wanted, name, f"{settings.profile.name} {settings.release}")
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            kwargs={**arguments, "autocommit": True, "row_factory": dict_row},
            connection_class=_reporting(self, wanted),
            min_size=1,
            max_size=wanted.pool,
            max_idle=IDLE_S,
            timeout=wanted.timeout_s,
            # Short, so that after a long outage the next request tries at once and is not told to wait for a back-off.
            reconnect_timeout=wanted.timeout_s,
            check=self._check,
            open=False,
        )

    async def open(self) -> None:
        """Begin to connect, waiting for nothing."""
        await self._pool.open()

    async def close(self) -> None:
        """Give all connections back."""
        await self._pool.close()

    def note_error(self, error: Exception) -> None:
        """Remember why the last attempt to connect failed."""
        self._last_error = first_line(error)

    async def rows(self, query: bytes, values: Sequence[object] = ()) -> list[Row]:
        """Run one statement. Raises DatabaseUnavailable when the server or its schema does not answer."""
        async with self._connection() as connection:
            cursor = await connection.execute(query, values)
            return await cursor.fetchall() if cursor.description else []

    async def schema_head(self) -> str | None:
        """The newest applied migration, or None when there is no schema. Raises DatabaseUnavailable."""
        there = await self.rows(b"SELECT to_regclass('public.schema_migrations') IS NOT NULL AS there")
        if not there[0]["there"]:
            return None
        head = await self.rows(b"SELECT max(name) AS head FROM schema_migrations")
        return str(head[0]["head"]) if head[0]["head"] else None

    async def init_when_empty(self) -> None:
        """Apply the base migration if the database is empty, trying until it can be asked."""
        told = ""
        while True:
            try:
                if await asyncio.to_thread(apply_base_when_empty, self._settings, self.name):
                    tell("database initialised", database=self.name)
            except (psycopg.Error, OSError) as error:
                if told != (told := first_line(error)):
                    tell("database not reached", level=logging.WARNING, database=self.name, error=told)
                await asyncio.sleep(RETRY_INIT_S)
            else:
                return

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        try:
            async with self._pool.connection() as connection:
                with self._hanging_up(connection):
                    yield connection
        except PoolTimeout as error:
            raise DatabaseUnavailable(self._last_error) from error
        except psycopg.Error as error:
            raise DatabaseUnavailable(first_line(error)) from error

    async def _check(self, connection: Connection) -> None:
        with self._hanging_up(connection):
            await self._pool.check_connection(connection)

    @contextmanager
    def _hanging_up(self, connection: Connection) -> Iterator[None]:
        """Shut the socket of a server that says nothing in time.

        Cancelling would not do: psycopg then asks the server to cancel, and waits for an answer again.
        """
        silent = f"no answer within {self._timeout_s:g} s"
        fired = asyncio.Event()

        def hang_up() -> None:
            fired.set()
            self._last_error = silent
            with socket.socket(fileno=os.dup(connection.pgconn.socket)) as ours:
                ours.shutdown(socket.SHUT_RDWR)

        limit = asyncio.get_running_loop().call_later(self._timeout_s, hang_up)
        try:
            yield
        except psycopg.Error as error:
            if fired.is_set():
                raise DatabaseUnavailable(silent) from error
            raise
        finally:
            limit.cancel()


class Databases:
    """All databases of the application."""

    def __init__(self, settings: Settings) -> None:
        wanted = settings.database
        self._all = {name: Database(settings, wanted, name) for name in wanted.names} if wanted else {}
        self._inits: list[asyncio.Task[None]] = []

    def __getitem__(self, name: str) -> Database:
        return self._all[name]

    def all(self) -> list[Database]:
        """Every database, in the order of the settings."""
        return list(self._all.values())

    def only(self) -> Database:
        """The one database of an application that has one."""
        (database,) = self._all.values()
        return database

    async def open(self) -> None:
        """Begin to connect and to initialise what is empty, waiting for nothing."""
        for database in self.all():
            await database.open()
            self._inits.append(asyncio.create_task(database.init_when_empty()))

    async def close(self) -> None:
        """Give all connections back."""
        for task in self._inits:
            task.cancel()
        await asyncio.gather(*self._inits, return_exceptions=True)
        await asyncio.gather(*(database.close() for database in self.all()))


def first_line(error: BaseException) -> str:
    """An error as one line."""
    return (str(error).splitlines() or [type(error).__name__])[0].strip()


def _reporting(database: Database, wanted: DatabaseSettings) -> type[Connection]:
    """A connection class that reads the password when it connects and tells `database` why it could not."""

    class Reporting(psycopg.AsyncConnection[Any]):
        @classmethod
        async def connect(cls, conninfo: str = "", **keywords: Any) -> Any:
            try:
                keywords |= password_argument(wanted.password_file)
                return await super().connect(conninfo, **keywords)
            except (psycopg.Error, OSError) as error:
                database.note_error(error)
                raise

    return Reporting
