"""From what was seen, layer by layer, to one verdict: the first broken layer, its cause, and the next action. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..model.connection import LAYERS, OK, Connection, Facts, Observation
from .cause import BROKEN, WARNING
from .causes import CAUSES

HEALTHY = "healthy"
NOT_REACHED = "not reached"
_USE_WARNING_PERCENT = 80
_SLOW_MS = 250
_SHORT_TIMEOUT_MS = 1000
_PASSWORD_DAYS = 14

# SQLSTATE, or SQLSTATE and the server's routine where one state has several causes (PostgreSQL 17, appendix A).
_SERVER_CODES = {
    "28P01": "password_refused",
    "28000 ClientAuthentication": "hba",
    "28000 InitializeSessionUserId": "role_no_login",
    "28000 InitializeSessionUserId missing": "role_missing",
    "3D000": "database_missing",
    "42501 CheckMyDatabase": "database_privilege",
    "42501 InitPostgres": "database_privilege",
    "55000 CheckMyDatabase": "database_closed",
    "55000 InitPostgres": "database_closed",
    "53300 InitializeSessionUserId": "role_limit",
    "53300 CheckMyDatabase": "database_limit",
    "53300": "slots_exhausted",
    "57P03": "not_ready",
    "57P01": "session_ended",
    "57P02": "session_ended",
    "57014": "statement_timeout",
    "53100": "disk_full",
    "53200": "out_of_memory",
    "25006": "read_only",
}
_VERIFY_CODES = {
    9: "certificate_early",
    10: "certificate_expired",
    62: "certificate_name",
    64: "certificate_name",
}
# A difference from the stack file that explains why a later layer broke.
_EXPLAINS = {
    "port_differs": ("tcp",),
    "user_differs": ("authentication", "database", "session"),
    "names_differ": ("database",),
    "tls_weaker": ("tls", "authentication"),
    "password_differs": ("authentication",),
}


@dataclass(frozen=True)
class Context:
    """What the texts need beside the facts. ``limit`` are the options that choose inventory and environment.

    ``accessory`` is the database's own container, when it is one of the stack and does not run; ``accessory_state``
    says how it is instead.
    """

    stack: str
    environment: str
    service: str
    container: str
    release: str = ""
    secret: str = ""
    secret_id: str = ""
    limit: str = ""
    pool: int = 0
    blocked_limit_s: float = 5.0
    accessory: str = ""
    accessory_state: str = ""

    def words(self, connection: Connection | None) -> dict[str, Any]:
        """Values for the format strings, the commands among them."""
        play = "ansible-playbook playbooks/{name}.yml " + self.limit
        release = self.release or "sha-<release>"
        host, port, user = (connection.host, connection.port, connection.user) if connection else ("", "", "")
        return {
            **asdict(self),
            "secret_id": f"'{self.secret_id}'" if self.secret_id else f"the value of {self.secret}",
            "host": host,
            "port": port,
            "user": user,
            "deploy": play.format(name="deploy") + f" -e stack={self.stack} -e release={release}",
            "converge": play.format(name="converge"),
            "again": play.format(name="diagnose_database") + f" -e stack={self.stack}",
            "admin": f"psql -h {host} -p {port} -U <administrator> postgres",
        }


@dataclass(frozen=True)
class Layer:
    """One row of the answer; ``state`` is ok, warning, broken or not reached; times in milliseconds."""

    name: str
    state: str
    ms: float
    evidence: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosis:
    """The answer. ``verdict`` is healthy or a layer; ``code`` names the cause for programs."""

    verdict: str
    code: str
    cause: str
    next: str
    layers: tuple[Layer, ...]
    warnings: tuple[str, ...]
    databases: Mapping[str, str]
    seen_from: str

    @property
    def healthy(self) -> bool:
        """Whether every layer let us through."""
        return self.verdict == HEALTHY

    def as_dict(self) -> dict[str, Any]:
        """For the report."""
        return {**asdict(self), "healthy": self.healthy}


def present(diagnosis: Diagnosis, context: Context, seconds: float) -> list[str]:
    """The diagnosis as lines for a terminal."""
    verdict = "healthy" if diagnosis.healthy else f"broken at {diagnosis.verdict}"
    lines = [f"{context.stack} on {context.environment}: the database connection is {verdict}, in {seconds:.2f} s"]
    lines.append(f"  seen from {diagnosis.seen_from}")
    for layer in diagnosis.layers:
        first, *more = layer.evidence or ("",)
        spent = f"{layer.ms:.1f} ms" if layer.state != NOT_REACHED else ""
        lines.append(f"  {layer.state:<11}  {layer.name:<14}  {spent:>10}  {first}".rstrip())
        lines += [" " * 43 + line for line in more]
    if len(diagnosis.databases) > 1:
        lines.append("  databases: " + ", ".join(f"{name} {state}" for name, state in diagnosis.databases.items()))
    lines += [f"Warning: {warning}" for warning in diagnosis.warnings]
    return [*lines, f"Cause: {diagnosis.cause}", f"Next:  {diagnosis.next}"]


@dataclass(frozen=True)
class _Finding:
    layer: str
    grade: str
    code: str
    cause: str
    next: str
    database: str = ""


def diagnose(
    seen: Iterable[Observation],
    context: Context,
    connection: Connection | None,
    *,
    proven: str = "",
    seen_from: str = "",
) -> Diagnosis:
    """Judge the observations. ``proven`` is the code an experiment confirmed (plan.connection.experiments)."""
    settled = [each for one in seen for each in _settled(one, proven, context)]
    words = context.words(connection)
    findings = [_finding(one, words) for one in settled if not one.ok]
    broken = sorted((one for one in findings if one.grade == BROKEN), key=lambda one: LAYERS.index(one.layer))
    warnings = [one for one in findings if one.grade == WARNING]
    first = broken[0] if broken else None
    return Diagnosis(
        verdict=first.layer if first else HEALTHY,
        code=first.code if first else OK,
        cause=_cause(first, warnings) if first else "every layer between the application and its database is sound",
        next=first.next if first else "look for the fault elsewhere: " + _elsewhere(context),
        layers=tuple(_layer(name, settled, findings, first) for name in LAYERS),
        warnings=tuple(f"{one.cause}; {one.next}" for one in warnings),
        databases=_databases(connection.names if connection else (), settled, broken),
        seen_from=seen_from,
    )


def _elsewhere(context: Context) -> str:
    return f"docker logs {context.container}, ansible-playbook playbooks/status.yml {context.limit}".rstrip()


# -- naming what was seen ----------------------------------------------------------------------------------------------


def _settled(one: Observation, proven: str, context: Context) -> list[Observation]:
    """The observation under the code and layer of its cause, followed by what its figures warn of."""
    if one.code == "server_error":
        code = server_code(one.facts)
        if proven == "password_old" and code == "password_refused":
            code = proven
        if proven in ("tls_demanded", "tls_unwanted") and code == "hba":
            code = proven
        one = replace(one, code=code, facts={"mode": "TLS" if one.facts.get("encrypted") else "no TLS", **one.facts})
    if one.code == "certificate":
        one = replace(one, code=_VERIFY_CODES.get(int(one.facts.get("verify_code", 0)), "certificate_untrusted"))
    if context.accessory and not one.ok and one.layer in ("dns", "tcp"):
        one = replace(one, code="accessory_down")
    if one.code in CAUSES and CAUSES[one.code].layer:
        one = replace(one, layer=CAUSES[one.code].layer)
    if not one.ok:
        return [one]
    return [one, *(replace(one, code=code, facts=facts, ms=0.0) for code, facts in _figures(one, context))]


def server_code(facts: Mapping[str, Any]) -> str:
    """Our word for a refusal of the server, from its SQLSTATE and routine."""
    sqlstate, routine = str(facts.get("sqlstate", "")), str(facts.get("routine", ""))
    both = f"{sqlstate} {routine}"
    # The two refusals of this routine differ in their text only; the English one is tried, the milder taken else.
    if both == "28000 InitializeSessionUserId" and "does not exist" in str(facts.get("message", "")):
        both += " missing"
    return _SERVER_CODES.get(both) or _SERVER_CODES.get(sqlstate, "server_error")


def _figures(one: Observation, context: Context) -> list[tuple[str, Facts]]:
    if one.layer == "dns":
        return _of_addresses(one.facts)
    if one.layer == "session":
        return _of_limits(one.facts, context)
    return _of_state(one.facts, context) if one.layer == "query" else []


def _of_addresses(facts: Facts) -> list[tuple[str, Facts]]:
    addresses = list(facts.get("addresses", ()))
    shown = {"addresses": ", ".join(addresses)}
    if facts.get("also_address_of"):
        return [("foreign_address", {**shown, "also_address_of": ", ".join(facts["also_address_of"])})]
    if addresses and all(_is_loopback(address) for address in addresses):
        return [("loopback", shown)]
    return []


def _is_loopback(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_loopback or parsed.is_unspecified


def _of_limits(facts: Facts, context: Context) -> list[tuple[str, Facts]]:
    usable = max(int(facts["most"]) - int(facts["reserved"]), 1)
    free = usable - int(facts["used"])
    percent = round(100 * int(facts["used"]) / usable)
    figures: Facts = {**facts, "usable": usable, "free": free, "percent": percent}
    found = []
    if percent > _USE_WARNING_PERCENT:
        found.append(("use_high", figures))
    if free < context.pool:
        found.append(("budget_short", figures))
    if 0 <= facts.get("valid_days", _PASSWORD_DAYS + 1) <= _PASSWORD_DAYS:
        found.append(("password_ends", figures))
    return found


def _of_state(facts: Facts, context: Context) -> list[tuple[str, Facts]]:
    found: list[tuple[str, Facts]] = []
    if facts["recovering"]:
        found.append(("recovering", facts))
    elif facts["read_only"]:
        found.append(("read_only", facts))
    longest = max(facts["blocked"], key=lambda pair: float(pair["waits_s"] or 0), default=None)
    if longest and float(longest["waits_s"] or 0) >= context.blocked_limit_s:
        found.append(("blocked", longest))
    if 0 < facts["statement_timeout_ms"] < _SHORT_TIMEOUT_MS:
        found.append(("timeout_short", facts))
    if facts["latency_ms"] > _SLOW_MS:
        found.append(("slow", facts))
    return found


def _finding(one: Observation, words: Mapping[str, Any]) -> _Finding:
    cause = CAUSES.get(one.code, CAUSES["server_error"])
    shown = {key: ", ".join(map(str, value)) if isinstance(value, list) else value for key, value in one.facts.items()}
    values = _Words({**words, "database": one.database, **shown})
    text, following = cause.cause.format_map(values), cause.next.format_map(values)
    return _Finding(cause.layer or one.layer, cause.grade, one.code, text, following, one.database)


class _Words(dict[str, Any]):
    """A text must never fail for a fact that one server version leaves out."""

    def __missing__(self, key: str) -> str:
        return "unknown"


def _cause(first: _Finding, warnings: Sequence[_Finding]) -> str:
    told = [one for one in warnings if first.layer in _EXPLAINS.get(one.code, ())]
    notes = [] if first.code == "password_old" else [one.cause for one in told]
    return "; note that ".join([first.cause, *notes])


# -- rows --------------------------------------------------------------------------------------------------------------


def _layer(name: str, seen: Sequence[Observation], findings: Sequence[_Finding], first: _Finding | None) -> Layer:
    here = [one for one in seen if one.layer == name]
    told = [one for one in findings if one.layer == name]
    if first and LAYERS.index(first.layer) < LAYERS.index(name) and not any(one.ok for one in here):
        return Layer(name, NOT_REACHED, 0.0, ())
    grades = {one.grade for one in told}
    state = BROKEN if BROKEN in grades else WARNING if WARNING in grades else "ok"
    evidence = [sentence for one in here if one.ok for sentence in _EVIDENCE[name](one)]
    evidence += [f"{one.database}: {one.cause}" if one.database else one.cause for one in told]
    evidence += [str(line) for one in here if not one.ok for line in _raw(one)]
    return Layer(name, state, round(sum(one.ms for one in here), 1), tuple(dict.fromkeys(evidence)))


def _raw(one: Observation) -> list[str]:
    """What the other side said word for word."""
    if one.facts.get("sqlstate"):
        said = f"the server said: {one.facts['sqlstate']} {one.facts.get('message', '')}"
        return [said + (f" ({one.facts['detail']})" if one.facts.get("detail") else "")]
    return [*one.facts.get("asked", ()), *one.facts.get("tried", ())]


def _databases(names: Sequence[str], seen: Sequence[Observation], broken: Sequence[_Finding]) -> dict[str, str]:
    through = {one.database for one in seen if one.layer == "query" and one.ok}
    failed = {one.database: one.code for one in reversed(broken) if one.database}
    return {name: failed.get(name) or (OK if name in through else NOT_REACHED) for name in names}


def _configuration_evidence(one: Observation) -> list[str]:
    return [str(line) for line in one.facts.get("evidence", ())]


def _dns_evidence(one: Observation) -> list[str]:
    aliases = "".join(f", alias of {name}" for name in one.facts.get("names", ()))
    return [f"{one.facts['host']} is {', '.join(one.facts['addresses'])} ({one.facts['found']}{aliases})"]


def _tls_evidence(one: Observation) -> list[str]:
    if not one.facts.get("encrypted"):
        return [f"no TLS (mode {one.facts['mode']})"]
    checked = f", certificate of {one.facts['subject']} by {one.facts['issuer']}, good until {one.facts['not_after']}"
    return [
        f"{one.facts['version']} (mode {one.facts['mode']}"
        + (checked if one.facts.get("not_after") else ", certificate not checked")
        + ")"
    ]


def _limit_evidence(one: Observation) -> list[str]:
    facts = one.facts
    text = f"{facts['used']} of {int(facts['most']) - int(facts['reserved'])} connections in use"
    if facts.get("role_limit", -1) >= 0:
        text += f", role {facts['used_by_role']} of {facts['role_limit']}"
    if facts.get("database_limit", -1) >= 0:
        text += f", {one.database} {facts['used_in_database']} of {facts['database_limit']}"
    return [text]


def _query_evidence(one: Observation) -> list[str]:
    written = "a row written and taken back" if one.facts["written"] else "no write tried"
    waiting = f", {len(one.facts['blocked'])} waiting for locks" if one.facts["blocked"] else ""
    return [f"{one.database}: answers in {one.facts['latency_ms']} ms, {written}{waiting}"]


_EVIDENCE: dict[str, Callable[[Observation], list[str]]] = {
    "configuration": _configuration_evidence,
    "dns": _dns_evidence,
    "tcp": lambda one: [str(line) for line in one.facts.get("tried", ())],
    "tls": _tls_evidence,
    "authentication": lambda one: [f"{one.facts['user']} logged in ({one.facts['method']})"],
    "database": lambda one: [f"{one.database} is open (server {one.facts['server_version']})"],
    "session": _limit_evidence,
    "query": _query_evidence,
}
