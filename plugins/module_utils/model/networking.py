"""How a service is on its networks: memberships, further hosts, resolvers."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .document import Node
from .refusals import ATTACHMENT_REFUSALS
from .vocabulary import Key, Keys
from .words import one_or_more

HOST_GATEWAY = "host-gateway"


@dataclass(frozen=True)
class Attachment:
    """Membership of a network, with further names the service answers to there."""

    network: str
    aliases: tuple[str, ...] = ()


ATTACHMENT_KEYS = Keys(
    Key("aliases", "list of names", "Further names the service answers to on this network", Node.texts),
    refused=ATTACHMENT_REFUSALS,
)


def networks(node: Node) -> tuple[Attachment, ...]:
    """Read a service's ``networks``, a list or a mapping. Errors are collected in the node."""
    if isinstance(node.value, Mapping):
        read = {name: ATTACHMENT_KEYS.read(value) for name, value in node.mapping().items()}
        return tuple(Attachment(name, **entry) for name, entry in read.items())
    names = node.texts()
    for name in dict.fromkeys(names):
        if names.count(name) > 1:
            node.reject(f"network '{name}' is named twice", "name it once")
    return tuple(Attachment(name) for name in dict.fromkeys(names))


def extra_hosts(node: Node) -> tuple[str, ...]:
    """Read ``extra_hosts`` as ``name:address``, an IPv6 address without its brackets."""
    return tuple(_host(place, name, address) for place, name, address in _hosts(node))


def _hosts(node: Node) -> Iterator[tuple[Node, str, str]]:
    if isinstance(node.value, Mapping):
        for name, value in node.mapping().items():
            for address in one_or_more(value):
                yield value, name, address
        return
    for item in node.items():
        text = item.text()
        mark = "=" if "=" in text else ":"
        name, _, address = text.partition(mark)
        yield item, name, address


def _host(node: Node, name: str, text: str) -> str:
    address = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not name:
        node.reject("names no host", f"write name=10.0.0.1, name=[::1] or name={HOST_GATEWAY}")
    if address != HOST_GATEWAY and not _is_address(address):
        node.reject(f"'{text}' is not an address", f"write name=10.0.0.1, name=[::1] or name={HOST_GATEWAY}")
    return f"{name}:{address}"


def resolvers(node: Node) -> tuple[str, ...]:
    """Read ``dns``: one address or a list of them."""
    found = one_or_more(node)
    for address in found:
        if not _is_address(address):
            node.reject(f"'{address}' is not an address", "name a resolver by its IP address")
    return found


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
