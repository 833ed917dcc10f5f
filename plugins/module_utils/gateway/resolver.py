"""Resolve a name as a container would, and say which server answered what.

The C library tells "no such name" from "try again" and nothing else; an operator needs to know which name server was
silent, refused, or said no. So the questions are asked here, with the container's own resolv.conf and hosts.
"""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import socket
import struct
import time
from dataclasses import dataclass, field

from ..model.connection import OK, Facts, Observation

_A, _CNAME, _AAAA = 1, 5, 28
_RCODES = {0: "no error", 1: "format error", 2: "server failure", 3: "no such name", 5: "refused"}
_SERVER_FAILURE, _NO_SUCH_NAME, _REFUSED = 2, 3, 5
_QUERY_S = 2.0
_TOTAL_S = 4.0


@dataclass(frozen=True)
class ResolverSettings:
    """What resolv.conf and hosts say."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1
    hosts: dict[str, list[str]] = field(default_factory=dict)


def read_settings(resolv_conf: str, hosts: str) -> ResolverSettings:
    """Parse the two files; what a resolver would ignore is ignored."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    ndots = 1
    for line in resolv_conf.splitlines():
        words = line.split("#")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            servers.append(words[1])
        elif words[0] in ("search", "domain"):
            search = tuple(word.rstrip(".") for word in words[1:] if word != ".")
        elif words[0] == "options":
            for option in words[1:]:
                name, _, value = option.partition(":")
                if name == "ndots" and value.isdigit():
                    ndots = int(value)
    # Without a name server the C library asks the host itself.
    return ResolverSettings(tuple(servers[:3]) or ("127.0.0.1",), search, ndots, _read_hosts(hosts))


def _read_hosts(text: str) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for line in text.splitlines():
        words = line.split("#")[0].split()
        for name in words[1:]:
            table.setdefault(name.lower(), []).append(words[0])
    return table


def resolve(host: str, settings: ResolverSettings) -> Observation:
    """The addresses of ``host``: in ``facts["addresses"]``, with how they were found."""
    began = time.monotonic()

    def seen(code: str, **facts: object) -> Observation:
        servers = ", ".join(settings.servers)
        return Observation("dns", code, {"host": host, "servers": servers, **facts}, _since(began))

    with contextlib.suppress(ValueError):
        return seen(OK, addresses=[str(ipaddress.ip_address(host))], found="it is an address")
    listed = settings.hosts.get(host.lower())
    if listed:
        return seen(OK, addresses=listed, found="in /etc/hosts")
    told: list[Facts] = []
    for name in _candidates(host, settings):
        for server in settings.servers:
            if time.monotonic() - began > _TOTAL_S:
                break
            answer = _ask(server, name)
            told.append(answer)
            if answer["addresses"]:
                return seen(OK, addresses=answer["addresses"], found=f"name server {server}", names=answer["names"])
            if answer["outcome"] in ("no such name", "no error"):
                break
    code, server = _worst(told)
    return seen(code, server=server, asked=[f"{one['server']} about {one['name']}: {one['outcome']}" for one in told])


def _candidates(host: str, settings: ResolverSettings) -> list[str]:
    name = host.rstrip(".")
    if host.endswith("."):
        return [name]
    searched = [f"{name}.{domain}" for domain in settings.search]
    return [name, *searched] if name.count(".") >= settings.ndots else [*searched, name]


def _worst(told: list[Facts]) -> tuple[str, str]:
    """What to call the failure, with the server to blame: a certain no weighs more than silence."""
    codes = {
        "silent": "dns_timeout",
        "unreachable": "dns_timeout",
        "port closed": "dns_refused",
        "refused": "dns_refused",
    }
    outcomes = {str(one["outcome"]): str(one["server"]) for one in told}
    for outcome in ("no such name", "no error"):
        if outcome in outcomes:
            return ("nxdomain" if outcome == "no such name" else "no_address"), outcomes[outcome]
    for outcome, code in codes.items():
        if outcome in outcomes:
            return code, outcomes[outcome]
    return "dns_failure", next(iter(outcomes.values()), "")


def _ask(server: str, name: str) -> Facts:
    """Ask one server for both kinds of address."""
    answer: Facts = {"server": server, "name": name, "addresses": [], "names": [], "outcome": "silent"}
    try:
        with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.connect((server, 53))
            waiting = {}
            for kind in (_A, _AAAA):
                number = secrets.randbelow(65536)
                waiting[number] = kind
                wire.send(_question(number, name, kind))
            _collect(wire, waiting, answer)
    except ConnectionRefusedError:
        answer["outcome"] = "port closed"
    except (OSError, UnicodeError) as error:
        answer["outcome"] = "unreachable" if isinstance(error, OSError) else "no such name"
    return answer


def _collect(wire: socket.socket, waiting: dict[int, int], answer: Facts) -> None:
    deadline = time.monotonic() + _QUERY_S
    while waiting and (left := deadline - time.monotonic()) > 0:
        # Once there is an address, the other kind may be lost without harm.
        wire.settimeout(min(left, 0.2) if answer["addresses"] else left)
        try:
            packet = wire.recv(4096)
        except TimeoutError:
            return
        if len(packet) < 12 or waiting.pop(struct.unpack_from("!H", packet)[0], None) is None:
            continue
        code = packet[3] & 15
        if not answer["addresses"]:
            answer["outcome"] = _RCODES.get(code, f"code {code}")
        try:
            names, addresses = _records(packet)
        except (struct.error, IndexError, ValueError):
            answer["outcome"] = "an answer that makes no sense"
            continue
        answer["addresses"] += addresses
        answer["names"] += [one for one in names if one not in answer["names"]]


def _question(number: int, name: str, kind: int) -> bytes:
    labels = b"".join(bytes([len(label)]) + label for label in name.encode("idna").split(b"."))
    return struct.pack("!HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)


def _records(packet: bytes) -> tuple[list[str], list[str]]:
    """Canonical names and addresses of an answer."""
    questions, answers = struct.unpack_from("!HH", packet, 4)
    place = 12
    for _ in range(questions):
        _, place = _name(packet, place)
        place += 4
    names: list[str] = []
    addresses: list[str] = []
    for _ in range(answers):
        _, place = _name(packet, place)
        kind, _, _, length = struct.unpack_from("!HHIH", packet, place)
        place += 10
        if kind in (_A, _AAAA):
            addresses.append(str(ipaddress.ip_address(packet[place : place + length])))
        elif kind == _CNAME:
            names.append(_name(packet, place)[0])
        place += length
    return names, addresses


def _name(packet: bytes, place: int) -> tuple[str, int]:
    """A name with its compression, and the place after it."""
    labels: list[str] = []
    after = 0
    for _ in range(128):
        length = packet[place]
        if length >= 192:
            after = after or place + 2
            place = struct.unpack_from("!H", packet, place)[0] & 0x3FFF
        elif length:
            labels.append(packet[place + 1 : place + 1 + length].decode("ascii", "replace"))
            place += 1 + length
        else:
            break
    return ".".join(labels), after or place + 1


def _since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)
