"""Ports of a service: published ones, in the two forms Compose knows, and those only its networks see."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from .document import Node
from .vocabulary import Key, Keys

PROTOCOLS = ("tcp", "udp")
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - recognised here, never chosen
_MOST_IN_A_RANGE = 1000


@dataclass(frozen=True)
class Port:
    """A published port. Whoever wants it to be reached from outside names the interface."""

    target: int
    published: int
    host_ip: str = "127.0.0.1"
    protocol: str = "tcp"

    def collides(self, other: Port) -> bool:
        """Whether the engine could not publish both."""
        same_port = (self.published, self.protocol) == (other.published, other.protocol)
        return same_port and (
            self.host_ip == other.host_ip or self.host_ip in EVERYWHERE or other.host_ip in EVERYWHERE
        )


PORT_KEYS = Keys(
    Key("target", "number", "Port in the container", required=True),
    Key(
        "published", "number", "Port of the host", required=True, note="A range, from which Compose picks, is refused."
    ),
    Key("host_ip", "IPv4 or IPv6 address", "Address of the host it is bound to", default=Port.host_ip),
    Key("protocol", "tcp | udp", "Protocol", default=Port.protocol),
    Key("name", "text", "A name for readers of the file"),
    Key("mode", "host", "Accepted because it says what happens anyway", note="ingress is a word of Swarm."),
)

_RANGE = r"\d{1,5}(?:-\d{1,5})?"
_SHORT_PORT = re.compile(
    rf"(?:(?P<host_ip>\d+(?:\.\d+){{3}}|\[[0-9A-Fa-f:.]+\]):)?"
    rf"(?P<published>{_RANGE}):(?P<target>{_RANGE})(?:/(?P<protocol>tcp|udp))?"
)
_EXPOSED = re.compile(rf"(?P<range>{_RANGE})(?:/(?P<protocol>tcp|udp))?")


def ports(node: Node) -> tuple[Port, ...]:
    """Read ``ports``; ranges become a port each. Errors are collected in the node."""
    found: list[Port] = []
    for item in node.items():
        read = (_long_port(item),) if isinstance(item.value, Mapping) else _short_ports(item)
        for port in read:
            if port.published and any(port.collides(other) for other in found):
                item.reject(f"port {port.published}/{port.protocol} is published twice", "publish it once")
            found.append(port)
    return tuple(found)


def exposed(node: Node) -> tuple[str, ...]:
    """Read ``expose``: ``8069``, ``53/udp``, ``3000-3005``, as ``8069/tcp``."""
    found: list[str] = []
    for item in node.items():
        match = _EXPOSED.fullmatch(item.text())
        if not match:
            item.reject(f"'{item.value}' is not a port", "write 8069, 53/udp or 3000-3005")
            continue
        found += [f"{port}/{match['protocol'] or 'tcp'}" for port in _range(item, match["range"])]
    return tuple(dict.fromkeys(found))


def _short_ports(node: Node) -> tuple[Port, ...]:
    match = _SHORT_PORT.fullmatch(str(node.value))
    if not match:
        node.reject(f"'{node.value}' is not a published port", "write [address:]published:target[/udp]")
        return ()
    published, target = (_range(node, match[side]) for side in ("published", "target"))
    if published and target and len(published) != len(target):
        node.reject(f"'{node.value}' leads {len(published)} ports to {len(target)}", "write ranges of equal length")
    address = _address(replace(node, value=(match["host_ip"] or Port.host_ip).strip("[]")))
    pairs = zip(target, published, strict=False)
    return tuple(Port(inside, outside, address, match["protocol"] or Port.protocol) for inside, outside in pairs)


def _long_port(node: Node) -> Port:
    keys = PORT_KEYS.of(node)
    if "target" not in keys or "published" not in keys:
        node.reject("a published port needs target and published")

    def entry(key: str) -> Node:
        return keys.get(key, node.child(key, None))

    entry("name").text()
    entry("mode").choice(("host",), "host")
    return Port(
        entry("target").integer(least=1, most=65535),
        entry("published").integer(least=1, most=65535),
        _address(entry("host_ip")),
        entry("protocol").choice(PROTOCOLS, Port.protocol),
    )


def _range(node: Node, text: str) -> range:
    first, _, last = text.partition("-")
    start = replace(node, value=first).integer(least=1, most=65535)
    end = replace(node, value=last).integer(least=1, most=65535) if last else start
    if start and end and not start <= end < start + _MOST_IN_A_RANGE:
        node.reject(f"'{text}' is not a range", f"write the lower port first, and at most {_MOST_IN_A_RANGE} ports")
        return range(0)
    return range(start, end + 1) if start and end else range(0)


def _address(node: Node) -> str:
    text = node.text(Port.host_ip)
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        node.reject(f"'{text}' is not an address", "name one of the host's addresses, such as 127.0.0.1 or 0.0.0.0")
        return Port.host_ip
