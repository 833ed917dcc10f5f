"""Work out from a container's environment and files what the application was told, and what is wrong with that."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from ..model.connection import TLS_MODES, Connection, Container, FileSeen, Observation
from ..model.database import Database

_TRUE = ("true", "1", "on", "yes")
_FALSE = ("false", "0", "off", "no")
_SECRETS = "/run/secrets/"


@dataclass(frozen=True)
class Declared:
    """What ought to be: the block of the stack file, the secret's present value, the text of the CA.

    ``foreign`` maps hosts of other environments' databases to the environment.
    """

    stack: str
    database: Database
    password: str = field(default="", repr=False)
    ca: str = ""
    foreign: Mapping[str, str] = field(default_factory=dict)

    def connection(self) -> Connection:
        """The declared settings as they stand, for an application that was never started."""
        block = self.database
        return Connection(block.address, block.port, block.user, block.names, self.password, block.tls, self.ca)


@dataclass(frozen=True)
class Reading:
    """``connection`` is None when too much is missing to try; ``seen`` are findings of the configuration layer."""

    connection: Connection | None
    seen: tuple[Observation, ...]


def container_from(inspected: Mapping[str, Any], release: str = "") -> Container:
    """The part of ``docker inspect`` that matters here."""
    state, settings = inspected["State"], inspected["Config"]
    pairs = (entry.partition("=") for entry in settings.get("Env") or ())
    return Container(
        name=str(inspected["Name"]).lstrip("/"),
        state=str(state["Status"]),
        pid=int(state.get("Pid") or 0),
        environment={key: value for key, _, value in pairs},
        mounts={mount["Destination"]: mount["Source"] for mount in inspected.get("Mounts", ())},
        networks=tuple(inspected["NetworkSettings"]["Networks"]),
        release=release,
        exit_code=int(state.get("ExitCode") or 0),
    )


def paths_to_read(database: Database, environment: Mapping[str, str]) -> tuple[str, ...]:
    """Files whose content the application was pointed at."""
    told = database.configured_by
    named = [environment.get(variable, "") for variable in (told.password_file, told.ca_file) if variable]
    secret = [] if told.password or told.password_file or told.url else [_SECRETS + database.password]
    return tuple(path for path in [*named, *secret] if path.startswith("/"))


def read_connection(
    declared: Declared, container: Container, files: Mapping[str, FileSeen], *, now: float | None = None
) -> Reading:
    """What the application was told, field by field. ``now`` is a Unix time, for the CA's dates."""
    reader = _Reader(declared, container, files, time.time() if now is None else now)
    connection = reader.read()
    if connection:
        reader.seen.insert(0, Observation("configuration", facts={"evidence": _told(declared, container, connection)}))
    return Reading(connection, tuple(reader.seen))


def _told(declared: Declared, container: Container, connection: Connection) -> list[str]:
    """What the application was told, in a line; of the password its length and whether it is the present one."""
    where = f"{connection.user}@{connection.host}:{connection.port}/{','.join(connection.names)}"
    compared = ""
    if declared.password:
        compared = ", the present secret" if connection.password == declared.password else ", not the present secret"
    told = f"{container.name} was told {where}, TLS mode {connection.tls}"
    return [told, f"password of {len(connection.password)} characters{compared}"]


class _Reader:
    """Collects findings on the way through the fields; each method settles one of them."""

    def __init__(self, declared: Declared, container: Container, files: Mapping[str, FileSeen], now: float) -> None:
        self.declared = declared
        self.block = declared.database
        self.told = declared.database.configured_by
        self.environment = container.environment
        self.files = files
        self.now = now
        self.seen: list[Observation] = []
        self.broken = False
        self.address: dict[str, str] = {}

    def read(self) -> Connection | None:
        self._read_url()
        port = self._field("port", str(self.block.port), "port")
        tls = self._tls()
        connection = Connection(
            host=self._field("host", self.block.address, "database's host"),
            port=self._port(port),
            user=self._field("user", self.block.user, "role"),
            names=self._names(),
            password=self._password(),
            tls=tls,
            ca=self._ca(tls),
        )
        self._compare(connection)
        return None if self.broken else connection

    # -- findings --------------------------------------------------------------------------------------------------

    def _fail(self, code: str, **facts: object) -> None:
        self.broken = True
        self._warn(code, **facts)

    def _warn(self, code: str, **facts: object) -> None:
        self.seen.append(Observation("configuration", code, facts))

    # -- fields ----------------------------------------------------------------------------------------------------

    def _value(self, key: str) -> str:
        """The content of the variable that tells ``key``, if there is one."""
        variable = getattr(self.told, key)
        return self.environment.get(variable, "").strip() if variable else ""

    def _read_url(self) -> None:
        text = self._value("url")
        if not self.told.url:
            return
        if not text:
            if not self._value("host"):
                self._fail("not_set", what="database's address", variable=self.told.url)
            return
        try:
            parts = urlsplit(text)
            if parts.scheme not in ("postgres", "postgresql"):
                raise ValueError(f"it begins with '{parts.scheme}:'" if parts.scheme else "it has no postgresql://")
            if not parts.hostname:
                raise ValueError("it names no host; a password with / @ : # ? has to be percent-encoded")
            options = dict(parse_qsl(parts.query))
            found = {
                "host": parts.hostname,
                "port": str(parts.port or ""),
                "user": unquote(parts.username or ""),
                "password": unquote(parts.password or ""),
                "names": unquote(parts.path.lstrip("/")),
                "tls": options.get("sslmode", ""),
            }
        except ValueError as error:
            self._fail("url_malformed", variable=self.told.url, why=_without_values(str(error)))
            return
        self.address = {key: value for key, value in found.items() if value}

    def _field(self, key: str, declared: str, what: str) -> str:
        """One field from its own variable or from the address; two that differ are a contradiction."""
        variable, own, shared = getattr(self.told, key), self._value(key), self.address.get(key, "")
        if own and shared and own != shared:
            self._fail("contradiction", variable=variable, value=own, other_variable=self.told.url, other_value=shared)
        if own or shared:
            return own or shared
        # A variable the application knows and was not given: only host and role have no sensible default.
        if variable and key in ("host", "user"):
            self._fail("not_set", what=what, variable=variable)
        return declared

    def _port(self, text: str) -> int:
        if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
            return int(text)
        self._fail("port_malformed", value=text, variable=self.told.port or self.told.url)
        return self.block.port

    def _names(self) -> tuple[str, ...]:
        text = self._field("names", "", "databases")
        return tuple(name.strip() for name in text.split(",") if name.strip()) or self.block.names

    def _password(self) -> str:
        found = {variable: text for variable, text in self._passwords() if text is not None}
        if self.broken and not found:
            return ""
        variables = list(found)
        if len(set(found.values())) > 1:
            self._fail(
                "contradiction",
                variable=variables[0],
                value="one password",
                other_variable=variables[1],
                other_value="another",
            )
        if not found:
            named = [self.told.password_file, self.told.password, self.told.url]
            self._fail("not_set", what="password", variable=next(filter(None, named), self.block.password))
            return ""
        password = next(iter(found.values()))
        if password != password.strip():
            self._warn("password_has_blanks", length=len(password))
        for variable in (self.told.password, self.told.url):
            if variable in found:
                self._warn("password_in_environment", variable=variable)
        return password

    def _passwords(self) -> list[tuple[str, str | None]]:
        """Every password the application was given, by the variable that gave it."""
        found: list[tuple[str, str | None]] = []
        if path := self._value("password_file"):
            found.append((self.told.password_file, self._password_file(path, self.told.password_file)))
        if self.told.password and (text := self.environment.get(self.told.password)):
            found.append((self.told.password, text))
        if text := self.address.get("password"):
            found.append((self.told.url, text))
        if not (self.told.password_file or self.told.password or self.told.url):
            path = _SECRETS + self.block.password
            found.append((self.block.password, self._password_file(path, f"secret {self.block.password}")))
        return found

    def _password_file(self, path: str, variable: str) -> str | None:
        file = self.files.get(path, FileSeen("missing"))
        if file.state == "missing":
            self._fail("password_file_missing", path=path, variable=variable)
        elif file.state != "ok":
            self._fail("password_file_unreadable", path=path, variable=variable, detail=file.detail or file.state)
        elif not file.text.strip():
            self._fail("password_file_empty", path=path, variable=variable)
        else:
            return file.text.rstrip("\r\n")
        return None

    def _tls(self) -> str:
        mode = self._tls_mode(self.told.tls, self._value("tls"))
        shared = self._tls_mode(self.told.url, self.address.get("tls", ""))
        if mode and shared and (mode == "disable") != (shared == "disable"):
            self._fail(
                "contradiction",
                variable=self.told.tls,
                value=self._value("tls"),
                other_variable=self.told.url,
                other_value=f"sslmode={shared}",
            )
        # libpq tries TLS when nothing is said; clients of Node.js, which have a switch for checking, do not.
        chosen = mode or shared or ("disable" if self.told.tls_verify else self._unsaid())
        check = self._value("tls_verify").lower()
        if chosen == "disable" or not self.told.tls_verify:
            return chosen
        if check in _FALSE:
            self._warn("certificate_unchecked", variable=self.told.tls_verify, value=check)
            return "require"
        if check and check not in _TRUE:
            self._fail("tls_unknown", variable=self.told.tls_verify, value=check, accepted="true, false")
        return "verify-full"

    def _unsaid(self) -> str:
        return "prefer" if self.told.tls or self.told.url else self.block.tls

    def _tls_mode(self, variable: str, text: str) -> str:
        word = text.lower()
        if word in _TRUE:
            return "require"
        if word in _FALSE:
            return "disable"
        if word and word not in TLS_MODES:
            self._fail("tls_unknown", variable=variable, value=text, accepted=", ".join(TLS_MODES))
        return word

    def _ca(self, tls: str) -> str:
        path = self._value("ca_file")
        verifying = tls in ("verify-ca", "verify-full")
        if not path:
            if verifying and self.told.ca_file:
                self._fail("not_set", what="certificate authority", variable=self.told.ca_file)
            # An application that takes no CA trusts those of its system.
            return "" if self.told.ca_file or self.told.host or self.told.url else self.declared.ca
        if not verifying and tls != "require":
            return ""
        file = self.files.get(path, FileSeen("missing"))
        if file.state == "missing":
            if verifying:
                self._fail("ca_missing", path=path, variable=self.told.ca_file)
            return ""
        if file.state != "ok":
            self._fail("ca_unreadable", path=path, detail=file.detail or file.state)
            return ""
        return self._authority(path, file.text)

    def _authority(self, path: str, text: str) -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=text)
        except (ssl.SSLError, ValueError) as error:
            self._fail("ca_malformed", path=path, why=getattr(error, "reason", "") or str(error) or "it is empty")
            return ""
        ends = [str(one.get("notAfter", "")) for one in context.get_ca_certs()]
        if ends and all(ssl.cert_time_to_seconds(end) < self.now for end in ends):
            self._fail("ca_expired", path=path, not_after=ends[-1])
        return text

    # -- told against declared -------------------------------------------------------------------------------------

    def _compare(self, connection: Connection) -> None:
        block = self.block
        names = {block.address, f"{self.declared.stack}-{block.service}"} if block.service else {block.address}
        if connection.host.lower() not in {name.lower() for name in names}:
            owner = self.declared.foreign.get(connection.host.lower(), "")
            whose = f"; it is the database of {owner}" if owner else ""
            self._fail("wrong_server", told=connection.host, declared=block.address, whose=whose)
        weaker = TLS_MODES.index(connection.tls) < TLS_MODES.index(block.tls) if connection.tls in TLS_MODES else False
        secret = self.declared.password
        differs: tuple[tuple[str, bool, Callable[[], Mapping[str, object]]], ...] = (
            ("port_differs", connection.port != block.port, lambda: _pair(connection.port, block.port)),
            ("user_differs", connection.user != block.user, lambda: _pair(connection.user, block.user)),
            (
                "names_differ",
                set(connection.names) != set(block.names),
                lambda: _pair(", ".join(connection.names), ", ".join(block.names)),
            ),
            ("tls_weaker", weaker, lambda: _pair(connection.tls, block.tls)),
            ("password_differs", bool(secret and connection.password) and connection.password != secret, dict),
        )
        for code, wrong, facts in differs:
            if wrong:
                self._warn(code, **facts())


def _pair(told: object, declared: object) -> dict[str, object]:
    return {"told": told, "declared": declared}


def _without_values(text: str) -> str:
    """urllib quotes the piece it stumbled over, which may be half a password."""
    if "port" in text.lower():
        return "its port is not a number; a password with / @ : # ? has to be percent-encoded"
    return text


def experiments(connection: Connection, seen: tuple[Observation, ...], declared: Declared) -> dict[str, Connection]:
    """Second tries, by the code they prove: they tell two causes apart which the server's answer does not."""
    refused = next((one for one in seen if one.code == "server_error"), None)
    if refused is None:
        return {}
    one_name = replace(connection, names=(refused.database,), trusted_path=False)
    sqlstate, routine = refused.facts.get("sqlstate"), refused.facts.get("routine")
    if sqlstate == "28P01" and declared.password and declared.password != connection.password:
        return {"password_old": replace(one_name, password=declared.password)}
    if sqlstate == "28000" and routine == "ClientAuthentication":
        if refused.facts.get("encrypted"):
            return {"tls_unwanted": replace(one_name, tls="disable")}
        return {"tls_demanded": replace(one_name, tls="require", ca="")}
    return {}
