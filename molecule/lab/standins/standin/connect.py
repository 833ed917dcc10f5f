"""How one connection to PostgreSQL is made, the same for requests and for migrations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .settings import DatabaseSettings


def connection_arguments(settings: DatabaseSettings, database: str, speaker: str) -> dict[str, Any]:
    """Arguments of ``psycopg.connect`` but the password; `speaker` is what pg_stat_activity shows."""
    arguments: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "user": settings.user,
        "dbname": database,
        "sslmode": settings.ssl_mode,
        "application_name": speaker,
        # libpq takes whole seconds and no less than two.
        "connect_timeout": max(2, round(settings.timeout_s)),
        # A server that vanished without a word is noticed as quickly as one that refuses.
        "tcp_user_timeout": round(settings.timeout_s * 1000),
    }
    if settings.ssl_root_cert:
        arguments["sslrootcert"] = settings.ssl_root_cert
    return arguments


def password_argument(file: Path | None) -> dict[str, Any]:
    """The password, read now, so that a changed secret counts for the next connection. Raises OSError."""
    return {"password": file.read_text("utf-8").strip()} if file else {}
