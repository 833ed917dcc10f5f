"""Walk from a name to a query and note what is seen at each layer. Nothing is changed and nothing is decided here."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..model.connection import OK, Connection, Facts, Observation
from .namespace import run_inside
from .postgres_wire import ProtocolSurprise, ServerRefusal, Wire
from .resolver import read_settings, resolve

_CONNECT_S = 3.0
_SESSION_S = 4.0
_TOTAL_S = 12.0
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME
# After these one database may still answer where another does not: look at the others too.
_OF_ONE_DATABASE = {"3D000", "42501", "55000", "28000", "57014", "25006"}

_LIMITS_SQL = """
select current_setting('max_connections') as most,
       current_setting('superuser_reserved_connections')::int
         + coalesce(current_setting('reserved_connections', true), '0')::int as reserved,
       (select count(*) from pg_stat_activity where usesysid is not null and datid is not null) - 1 as used,
       (select count(*) from pg_stat_activity where usename = current_user) - 1 as used_by_role,
       (select count(*) from pg_stat_activity where datname = current_database()) - 1 as used_in_database,
       (select rolconnlimit from pg_roles where rolname = current_user) as role_limit,
       (select datconnlimit from pg_database where datname = current_database()) as database_limit,
       (select extract(day from rolvaliduntil - now())::int from pg_roles
         where rolname = current_user and isfinite(rolvaliduntil)) as valid_days
"""
_STATE_SQL = """
select pg_is_in_recovery() as recovering,
       current_setting('transaction_read_only') as read_only,
       (select setting from pg_settings where name = 'statement_timeout') as statement_timeout_ms,
       has_database_privilege(current_database(), 'TEMP') as may_write_temp
"""
# Who stands in whose way in this database, longest wait first. Others' queries are hidden from an ordinary role, their
# process numbers are not, and those are what one needs to end them.
_BLOCKED_SQL = """
select waiting.pid as waiting, blocker.pid as blocker, blocker.usename as role, blocker.application_name as application,
       coalesce(blocker.state, 'state hidden') as state,
       round(extract(epoch from now() - min(lock.waitstart)), 1) as waits_s, count(*) over () as pairs
  from pg_locks lock
  join pg_stat_activity waiting on waiting.pid = lock.pid and waiting.datname = current_database()
  cross join lateral unnest(pg_blocking_pids(lock.pid)) as in_the_way(pid)
  join pg_stat_activity blocker on blocker.pid = in_the_way.pid
 where not lock.granted
 group by 1, 2, 3, 4, 5
 order by waits_s desc nulls last limit 5
"""
# A row that is written and thrown away: a full disk is not seen by reading. Temporary tables write no journal.
_WRITE_SQL = """
begin;
create temporary table seisei_diagnosis (text text) on commit drop;
insert into seisei_diagnosis values ('written to see whether the disk takes it');
rollback
"""


@dataclass(frozen=True)
class Surroundings:
    """Where to look from: process 0 is the host itself; the texts are resolv.conf and hosts as seen there."""

    pid: int
    resolv_conf: str
    hosts: str


def observe(connection: Connection, surroundings: Surroundings, foreign: Iterable[str] = ()) -> list[Observation]:
    """Everything seen on the way to each database of ``connection``, until it broke.

    ``foreign`` are hosts of other environments' databases: an address of theirs is noted. Raises OpsError when the
    namespace cannot be entered; a broken connection is no error but what is asked for.
    """
    others = tuple(foreign)

    def work() -> list[dict[str, object]]:
        return [one.as_dict() for one in walk(connection, surroundings, others)]

    seen = run_inside(surroundings.pid, ("net",), work, deadline_s=_TOTAL_S + 3)
    return [Observation(**one) for one in seen]


def walk(connection: Connection, surroundings: Surroundings, foreign: tuple[str, ...] = ()) -> list[Observation]:
    """The same from where this process stands; ``surroundings.pid`` is not looked at."""
    deadline = time.monotonic() + _TOTAL_S
    settings = read_settings(surroundings.resolv_conf, surroundings.hosts)
    named = resolve(connection.host, settings)
    if not named.ok:
        return [named]
    addresses = named.facts["addresses"]
    also = [one for one in foreign if set(resolve(one, settings).facts.get("addresses", ())) & set(addresses)]
    seen = [replace(named, facts={**named.facts, "also_address_of": also})]
    reached = _reach(addresses, connection.port)
    seen.append(reached)
    for name in connection.names if reached.ok else ():
        if time.monotonic() > deadline:
            seen.append(Observation("session", "out_of_time", database=name))
            break
        steps = _open_database(connection, reached.facts["address"], name)
        seen += steps
        if not steps[-1].ok and steps[-1].facts.get("sqlstate") not in _OF_ONE_DATABASE:
            break
    return seen


def _reach(addresses: list[str], port: int) -> Observation:
    """A TCP connection to the first address that takes one."""
    began = time.monotonic()
    tried: list[str] = []
    code = "tcp_timeout"
    for address in addresses:
        left = _CONNECT_S + 1 - (time.monotonic() - began)
        if left <= 0:
            break
        try:
            with socket.create_connection((address, port), timeout=min(_CONNECT_S, left)):
                tried.append(f"{address}:{port} connected")
            return Observation("tcp", OK, {"address": address, "port": port, "tried": tried}, _since(began))
        except OSError as error:
            code = _tcp_code(error)
            tried.append(f"{address}:{port} {error.strerror or 'timed out'}".lower())
    return Observation("tcp", code, {"address": addresses[0], "port": port, "tried": tried}, _since(began))


def _tcp_code(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "tcp_timeout"
    if isinstance(error, ConnectionRefusedError):
        return "tcp_refused"
    if isinstance(error, (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)):
        return "tcp_reset"
    return "tcp_unreachable"


class _Stage:
    """Names the layer under way, so that a failure anywhere lands in the right one."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.seen: list[Observation] = []
        self.enter("tls")

    def enter(self, layer: str) -> None:
        self.layer = layer
        self.began = time.monotonic()

    def note(self, code: str = OK, **facts: Any) -> None:
        self.seen.append(Observation(self.layer, code, facts, _since(self.began), self.database))


def _open_database(connection: Connection, address: str, name: str) -> list[Observation]:
    stage = _Stage(name)
    deadline = time.monotonic() + _SESSION_S
    wire: Wire | None = None
    try:
        wire = Wire(socket.create_connection((address, connection.port), timeout=_CONNECT_S), deadline)
        if _secure(wire, connection, address, stage):
            _use(wire, connection, name, stage)
    except ServerRefusal as error:
        keys = {"C": "sqlstate", "M": "message", "D": "detail", "R": "routine", "H": "hint"}
        told: Facts = {keys[key]: value for key, value in error.fields.items() if key in keys}
        stage.note("server_error", encrypted=bool(wire and wire.encrypted), **told)
    except ProtocolSurprise as error:
        stage.note(error.code, message=str(error))
    except TimeoutError:
        stage.note("no_answer", waited_s=_SESSION_S)
    except OSError as error:
        stage.note("closed" if _tcp_code(error) == "tcp_reset" else "tls_failed", message=str(error))
    finally:
        if wire:
            wire.close()
    return stage.seen


def _secure(wire: Wire, connection: Connection, address: str, stage: _Stage) -> bool:
    """Whether to go on after the TLS layer."""
    if connection.tls == "disable":
        stage.note(mode="disable", encrypted=False)
        return True
    if not wire.ask_for_tls():
        if connection.tls in ("allow", "prefer"):
            stage.note(mode=connection.tls, encrypted=False)
            return True
        stage.note("tls_off", mode=connection.tls)
        return False
    try:
        secured = wire.start_tls(_context(connection), connection.host)
    except ssl.SSLCertVerificationError as error:
        facts = _certificate(connection, address)
        stage.note("certificate", verify_code=error.verify_code, message=error.verify_message, **facts)
        return False
    version, cipher = secured.version(), (secured.cipher() or ("",))[0]
    certificate = _told(secured.getpeercert()) if connection.verifies else {}
    stage.note(mode=connection.tls, encrypted=True, version=version, cipher=cipher, **certificate)
    return True


def _context(connection: Connection) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = connection.tls == "verify-full"
    context.verify_mode = ssl.CERT_REQUIRED if connection.verifies else ssl.CERT_NONE
    if connection.ca:
        context.load_verify_locations(cadata=connection.ca)
    elif connection.verifies:
        context.set_default_verify_paths()
    return context


def _certificate(connection: Connection, address: str) -> Facts:
    """What the certificate that was refused says of itself: fetched unverified, then read by trusting only itself."""
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    _, der = _shake(connection, address, blind)
    reading = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    reading.check_hostname = False
    reading.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    reading.load_verify_locations(cadata=der)
    return _shake(connection, address, reading)[0]


def _shake(connection: Connection, address: str, context: ssl.SSLContext) -> tuple[Facts, bytes]:
    """The server's certificate: what it says, and its bytes."""
    plain = socket.create_connection((address, connection.port), timeout=_CONNECT_S)
    wire = Wire(plain, time.monotonic() + _CONNECT_S)
    wire.ask_for_tls()
    with wire.start_tls(context, connection.host) as secured:
        return _told(secured.getpeercert()), secured.getpeercert(binary_form=True) or b""


def _told(certificate: Mapping[str, Any] | None) -> Facts:
    """Subject, issuer, names and dates of a certificate as one reads them."""
    told = certificate or {}
    return {
        "subject": _common_name(told.get("subject", ())),
        "issuer": _common_name(told.get("issuer", ())),
        "certificate_names": [str(name) for _, name in told.get("subjectAltName", ())],
        "not_before": str(told.get("notBefore", "")),
        "not_after": str(told.get("notAfter", "")),
    }


def _common_name(name: Iterable[Iterable[tuple[str, str]]]) -> str:
    pairs = [pair for group in name for pair in group]
    return next((value for key, value in pairs if key == "commonName"), ", ".join(value for _, value in pairs))


def _use(wire: Wire, connection: Connection, name: str, stage: _Stage) -> None:
    stage.enter("authentication")
    method = wire.log_in(connection.user, name, connection.password, clear_allowed=connection.trusted_path)
    stage.note(method=method, user=connection.user)
    stage.enter("database")
    wire.await_ready()
    stage.note(server_version=wire.parameters.get("server_version", ""))
    stage.enter("session")
    limits: Facts = {key: int(value) for key, value in wire.query(_LIMITS_SQL)[0].items() if value is not None}
    stage.note(**limits)
    stage.enter("query")
    wire.query("select 1")
    latency = _since(stage.began)
    state = wire.query(_STATE_SQL)[0]
    blocked = wire.query(_BLOCKED_SQL)
    written = state["recovering"] == "f" and state["may_write_temp"] == "t"
    if written:
        wire.query(_WRITE_SQL)
    stage.note(
        latency_ms=latency,
        recovering=state["recovering"] == "t",
        read_only=state["read_only"] == "on",
        statement_timeout_ms=int(state["statement_timeout_ms"] or 0),
        written=written,
        blocked=blocked,
    )


def _since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)
