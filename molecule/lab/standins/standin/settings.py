"""Everything the environment says, read once and refused early."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .profiles import PROFILES, Profile
from .tenants import TenantMap, parse_tenant_hosts

BREAKAGES = ("health", "smoke", "login", "web_socket", "late", "none")
EDITIONS = ("good", "better")
LEVELS = ("debug", "info", "warning", "error")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class SettingsError(Exception):
    """A variable is missing or malformed; the text names it."""


@dataclass(frozen=True)
class DatabaseSettings:
    """How to reach the databases. The password stays in its file until a connection is made."""

    host: str
    port: int
    user: str
    password_file: Path | None
    names: tuple[str, ...]
    ssl_mode: str
    ssl_root_cert: str | None
    pool: int
    timeout_s: float


@dataclass(frozen=True)
class CacheSettings:
    """How to reach Redis."""

    host: str
    port: int
    password_file: Path | None


@dataclass(frozen=True)
class Identity:
    """Which application and which release this is: what the image says."""

    profile: Profile
    release: str
    better: bool
    broken: bool
    broken_migration: bool


@dataclass(frozen=True)
class Settings:
    """One process: who it is, and where its parts are."""

    identity: Identity
    service: str
    port: int
    websocket_port: int | None
    log_level: str
    stop_timeout_s: float
    allow_faults: bool
    breakage: str
    breakage_after_s: float
    database: DatabaseSettings | None
    cache: CacheSettings | None
    tenants: TenantMap
    file_store: Path | None
    ocr_url: str | None
    api_key_file: Path | None

    @property
    def profile(self) -> Profile:
        """The application."""
        return self.identity.profile

    @property
    def release(self) -> str:
        """The release, as in the image's tag."""
        return self.identity.release


class _Environment:
    """Typed reading of variables, each error naming its variable."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str, default: str | None = None) -> str:
        value = self._values.get(name, "").strip()
        if value:
            return value
        if default is None:
            raise SettingsError(f"{name} is not set")
        return default

    def optional(self, name: str) -> str | None:
        return self.text(name, "") or None

    def path(self, name: str) -> Path | None:
        value = self.optional(name)
        return Path(value) if value else None

    def choice(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value not in choices:
            raise SettingsError(f"{name} is {value!r}, not one of {', '.join(choices)}")
        return value

    def flag(self, name: str, default: str) -> bool:
        return self.choice(name, ("0", "1"), default) == "1"

    def integer(self, name: str, default: int, lowest: int, highest: int) -> int:
        value = self.text(name, str(default))
        if not re.fullmatch(r"[0-9]{1,6}", value) or not lowest <= int(value) <= highest:
            raise SettingsError(f"{name} is {value!r}, not a whole number from {lowest} to {highest}")
        return int(value)

    def seconds(self, name: str, default: float) -> float:
        value = self.text(name, str(default))
        if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]+)?", value):
            raise SettingsError(f"{name} is {value!r}, not a number of seconds")
        return float(value)


def read_identity(values: Mapping[str, str]) -> Identity:
    """Read what the image says. Raises SettingsError for the first variable that is missing or malformed."""
    env = _Environment(values)
    broken = env.flag("BROKEN", "0")
    return Identity(
        profile=PROFILES[env.choice("PROFILE", tuple(PROFILES), "")],
        release=env.text("RELEASE"),
        better=env.choice("EDITION", EDITIONS, "good") == "better",
        broken=broken,
        broken_migration=broken and env.flag("BREAK_MIGRATION", "1"),
    )


def read_settings(values: Mapping[str, str]) -> Settings:
    """Read the process environment. Raises SettingsError for the first variable that is missing or malformed."""
    env = _Environment(values)
    identity = read_identity(values)
    profile, broken = identity.profile, identity.broken
    allow_faults = env.flag("ALLOW_FAULTS", "0")
    breakage = env.choice("BREAK", BREAKAGES, "health" if broken else "none")
    database = _database(env, profile) if profile.has_database else None
    return Settings(
        identity=identity,
        service=env.text("SERVICE", "web"),
        port=env.integer("PORT", profile.port, 1, 65535),
        websocket_port=_websocket_port(env, profile),
        log_level=env.choice("LOG_LEVEL", LEVELS, "info"),
        stop_timeout_s=env.seconds("STOP_TIMEOUT_S", 25.0),
        allow_faults=allow_faults,
        breakage=breakage if broken or allow_faults else "none",
        breakage_after_s=env.seconds("BREAK_AFTER_S", 20.0),
        database=database,
        cache=_cache(env) if profile.has_cache else None,
        tenants=_tenants(env, profile, database),
        file_store=Path(env.text("FILESTORE", "/var/lib/standin/filestore")) if profile.has_file_store else None,
        ocr_url=env.text("OCR_URL").rstrip("/") if profile.needs_ocr else None,
        api_key_file=Path(env.text("GEMINI_API_KEY_FILE")) if profile.needs_api_key else None,
    )


def _database(env: _Environment, profile: Profile) -> DatabaseSettings:
    if profile.many_tenants:
        names = tuple(filter(None, (name.strip() for name in env.text("DB_NAMES").split(","))))
    else:
        names = (env.text("DB_NAME"),)
    return DatabaseSettings(
        host=env.text("DB_HOST"),
        port=env.integer("DB_PORT", 5432, 1, 65535),
        user=env.text("DB_USER"),
        password_file=env.path("DB_PASSWORD_FILE"),
        names=names,
        ssl_mode=env.choice("DB_SSLMODE", SSL_MODES, "prefer"),
        ssl_root_cert=env.optional("DB_SSLROOTCERT"),
        pool=env.integer("DB_POOL", 4, 1, 500),
        timeout_s=env.seconds("DB_TIMEOUT_S", 3.0),
    )


def _cache(env: _Environment) -> CacheSettings:
    return CacheSettings(
        host=env.text("REDIS_HOST"),
        port=env.integer("REDIS_PORT", 6379, 1, 65535),
        password_file=env.path("REDIS_PASSWORD_FILE"),
    )


def _websocket_port(env: _Environment, profile: Profile) -> int | None:
    if profile.websocket_port is None:
        return None
    return env.integer("WEBSOCKET_PORT", profile.websocket_port, 1, 65535)


def _tenants(env: _Environment, profile: Profile, database: DatabaseSettings | None) -> TenantMap:
    if database is None or not profile.many_tenants:
        return TenantMap(tenants=(), by_host={})
    try:
        by_host = parse_tenant_hosts(env.text("TENANT_HOSTS", ""), database.names)
    except ValueError as error:
        raise SettingsError(f"TENANT_HOSTS: {error}") from error
    return TenantMap(tenants=database.names, by_host=by_host)
