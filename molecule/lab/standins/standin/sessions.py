"""Sessions in Redis."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider
from redis.exceptions import RedisError

from .databases import first_line
from .settings import CacheSettings

LIFETIME_S = 7 * 24 * 3600
TIMEOUT_S = 2.0


class CacheUnavailable(Exception):
    """Redis cannot be used now; the text is one line, without secrets."""


class _PasswordFile(CredentialProvider):
    """Reads the password anew for each connection."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def get_credentials(self) -> tuple[str]:
        return (self._file.read_text("utf-8").strip(),)


class Sessions:
    """Who is logged in, by the value of a cookie."""

    def __init__(self, settings: CacheSettings) -> None:
        self._redis = Redis(
            host=settings.host,
            port=settings.port,
            credential_provider=_PasswordFile(settings.password_file) if settings.password_file else None,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            # Once more at once: a connection that was idle while Redis restarted is dead.
            retry=Retry(NoBackoff(), 1),
            decode_responses=True,
        )

    async def ping(self) -> None:
        """Raises CacheUnavailable."""
        try:
            await self._redis.ping()
        except (RedisError, OSError) as error:
            raise CacheUnavailable(first_line(error)) from error

    async def create(self, tenant: str, login: str) -> str:
        """A new session's identifier. Raises CacheUnavailable."""
        identifier = secrets.token_urlsafe(32)
        value = json.dumps({"tenant": tenant, "login": login}, ensure_ascii=False)
        try:
            await self._redis.set(_key(tenant, identifier), value, ex=LIFETIME_S)
        except (RedisError, OSError) as error:
            raise CacheUnavailable(first_line(error)) from error
        return identifier

    async def read(self, tenant: str, identifier: str) -> dict[str, str] | None:
        """What the session holds, or None. Raises CacheUnavailable."""
        try:
            value = await self._redis.get(_key(tenant, identifier))
        except (RedisError, OSError) as error:
            raise CacheUnavailable(first_line(error)) from error
        return json.loads(value) if value else None

    async def close(self) -> None:
        """Give all connections back."""
        await self._redis.aclose()


def _key(tenant: str, identifier: str) -> str:
    return f"session:{tenant}:{identifier}"
