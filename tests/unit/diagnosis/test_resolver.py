"""Reading resolv.conf and hosts, and answers off the wire."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.gateway import resolver
from plugins.module_utils.gateway.resolver import ResolverSettings, read_settings, resolve

CONF = """
# a comment
nameserver 192.0.2.1   # the first
nameserver 192.0.2.2
nameserver 192.0.2.3
nameserver 192.0.2.4
search a.lab b.lab.
options edns0 ndots:2 rotate
"""
HOSTS = "127.0.0.1 localhost\n192.0.2.9 db.lab db # the database\n192.0.2.8 db.lab\n"


def test_what_the_c_library_would_use() -> None:
    settings = read_settings(CONF, HOSTS)
    assert settings.servers == ("192.0.2.1", "192.0.2.2", "192.0.2.3")
    assert settings.search == ("a.lab", "b.lab")
    assert settings.ndots == 2
    assert settings.hosts["db.lab"] == ["192.0.2.9", "192.0.2.8"]


def test_without_a_name_server_the_host_itself_is_asked() -> None:
    assert read_settings("", "").servers == ("127.0.0.1",)


def test_an_address_needs_no_name_server() -> None:
    assert resolve("2001:db8::1", ResolverSettings()).facts["addresses"] == ["2001:db8::1"]


def test_the_hosts_file_comes_first_and_does_not_care_for_case() -> None:
    assert resolve("DB.lab", read_settings("", HOSTS)).facts["addresses"] == ["192.0.2.9", "192.0.2.8"]


@pytest.mark.parametrize(
    ("host", "ndots", "names"),
    [
        ("db", 1, ["db.a.lab", "db"]),
        ("db.x", 1, ["db.x", "db.x.a.lab"]),
        ("db.x", 2, ["db.x.a.lab", "db.x"]),
        ("db.x.", 2, ["db.x"]),
    ],
)
def test_the_order_in_which_names_are_tried(host: str, ndots: int, names: list[str]) -> None:
    assert resolver._candidates(host, ResolverSettings(search=("a.lab",), ndots=ndots)) == names


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (["no such name", "silent"], "nxdomain"),
        (["no error"], "no_address"),
        (["silent", "refused"], "dns_timeout"),
        (["refused"], "dns_refused"),
        (["port closed", "server failure"], "dns_refused"),
        (["server failure"], "dns_failure"),
        (["code 9"], "dns_failure"),
    ],
)
def test_what_a_failure_is_called(outcomes: list[str], code: str) -> None:
    assert resolver._worst([{"outcome": outcome, "server": "x"} for outcome in outcomes])[0] == code


def test_an_answer_with_an_alias_and_compression() -> None:
    name = b"\x02db\x03lab\x00"
    alias = struct.pack("!HHHIH", 0xC00C, 5, 1, 60, 6) + b"\x03one\xc0\x0f"
    address = struct.pack("!HHHIH", 0xC024, 1, 1, 60, 4) + bytes([192, 0, 2, 9])
    packet = struct.pack("!HHHHHH", 7, 0x8180, 1, 2, 0, 0) + name + struct.pack("!HH", 1, 1) + alias + address
    assert resolver._records(packet) == (["one.lab"], ["192.0.2.9"])


@given(st.binary(min_size=12, max_size=80))
def test_no_packet_brings_it_down(packet: bytes) -> None:
    try:
        names, addresses = resolver._records(packet)
    except (struct.error, IndexError, ValueError):
        return  # what the caller takes for an answer that makes no sense
    assert all(isinstance(one, str) for one in [*names, *addresses])
