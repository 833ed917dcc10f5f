"""A published port of a service, in the two forms Compose knows; ranges and ports the engine chooses are refused."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from .document import Node


@dataclass(frozen=True)
class Port:
    """A published port."""

    target: int
    published: int
    host_ip: str = "0.0.0.0"  # noqa: S104 - Compose's own default; the stack file names an interface to narrow it
    protocol: str = "tcp"


_SHORT_PORT = re.compile(
    r"(?:(?P<host_ip>\d+(?:\.\d+){3}):)?(?P<published>\d+):(?P<target>\d+)(?:/(?P<protocol>tcp|udp))?"
)


def parse_port(node: Node) -> Port | None:
    """Read one entry of ``ports``, in the short or the long form. Errors are collected in the node."""
    if isinstance(node.value, Mapping):
        keys = node.mapping(("target", "published", "host_ip", "protocol"))
        if "target" not in keys or "published" not in keys:
            node.reject("a published port needs target and published")
            return None
        given = {key: value.value for key, value in keys.items()}
    else:
        match = _SHORT_PORT.fullmatch(str(node.value))
        if not match:
            node.reject(f"'{node.value}' is not a published port", "write [address:]published:target[/udp]; no ranges")
            return None
        given = match.groupdict()
    place = partial(replace, node)
    address = place(value=given.get("host_ip")).text(Port.host_ip)
    if not _is_address(address):
        node.reject(f"'{address}' is not an IPv4 address", "name one of the host's addresses, such as 127.0.0.1")
    return Port(
        place(value=given["target"]).integer(least=1, most=65535),
        place(value=given["published"]).integer(least=1, most=65535),
        address,
        place(value=given.get("protocol")).choice(("tcp", "udp"), Port.protocol),
    )


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
