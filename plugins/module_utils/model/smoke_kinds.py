"""What a smoke test may do besides asking for one page: log in before, or talk through a web socket."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .document import Node
from .vocabulary import Key, Keys

FORM, JSON = "form", "json"
LOGGED_IN = (200, 204, 301, 302, 303)
_PATH = r"/[!-~]*"
_SECRET = "secret"


@dataclass(frozen=True)
class SecretField:
    """A field whose value is a secret of the stack, by name."""

    name: str


@dataclass(frozen=True)
class Login:
    """A login that comes before the page: ``fields`` posted to ``path``, its cookies kept.

    ``sent_as`` is "form" or "json". A value of ``fields`` is text, a :class:`SecretField`, or with "json" a mapping of
    such (Odoo's ``/web/session/authenticate`` wants its own within ``params``).
    """

    path: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    sent_as: str = FORM
    status: tuple[int, ...] = LOGGED_IN

    def secrets(self) -> tuple[str, ...]:
        """Names of the secrets it needs."""
        return tuple(_secrets(self.fields))

    def filled(self, values: Mapping[str, str]) -> dict[str, Any]:
        """The fields with the secrets' values in their places."""
        return dict(_filled(self.fields, values))


@dataclass(frozen=True)
class WebSocket:
    """A talk through a web socket: ``send`` goes out after the upgrade, ``expect`` must be within a text that comes."""

    send: str = ""
    expect: str = ""


LOGIN_KEYS = Keys(
    Key("path", "path", "Where the fields are posted to", required=True),
    Key("fields", "mapping", "What is posted; {secret: NAME} stands for a secret of the stack", required=True),
    Key("sent_as", f"{FORM} | {JSON}", "How it is posted", default=FORM),
    Key("status", "number | list", "Every status that is a login", default=", ".join(map(str, LOGGED_IN))),
)
WEB_SOCKET_KEYS = Keys(
    Key("send", "text", "What is sent once it is open"),
    Key("expect", "text", "What must be within a text that comes back; without it the upgrade is enough"),
)


def parse_login(node: Node) -> Login | None:
    """Read ``login`` of a smoke test; None when there is none. Errors are collected in the node."""
    if node.value is None:
        return None
    keys = LOGIN_KEYS.of(node)
    for needed in ("path", "fields"):
        if needed not in keys or keys[needed].value in (None, "", {}):
            node.reject(f"a login needs '{needed}'", f"add '{needed}:' to it")
    sent_as = entry(node, keys, "sent_as").choice((FORM, JSON), FORM)
    return Login(
        path=entry(node, keys, "path").text(pattern=_PATH, hint="a path such as /web/login"),
        fields=dict(_fields(entry(node, keys, "fields"), nested=sent_as == JSON)),
        sent_as=sent_as,
        status=statuses(entry(node, keys, "status"), LOGGED_IN),
    )


def parse_web_socket(node: Node) -> WebSocket | None:
    """Read ``web_socket`` of a smoke test; None when there is none."""
    if node.value is None:
        return None
    keys = WEB_SOCKET_KEYS.of(node)
    found = WebSocket(entry(node, keys, "send").text(), entry(node, keys, "expect").text())
    if found.send and not found.expect:
        node.reject("what is sent and not answered proves nothing", "say what must come back under 'expect'")
    return found


def statuses(node: Node, default: tuple[int, ...]) -> tuple[int, ...]:
    """One status or a list of them."""
    if node.value is None:
        return default
    nodes = list(node.items()) if isinstance(node.value, (list, tuple)) else [node]
    return tuple(one.integer(200, least=100, most=599) for one in nodes)


def entry(node: Node, keys: Mapping[str, Node], name: str) -> Node:
    """The node behind a key, one without a value when the key is not there."""
    return keys[name] if name in keys else node.child(name, None)


def _fields(node: Node, *, nested: bool) -> Iterator[tuple[str, Any]]:
    for name, value in node.mapping().items():
        if not isinstance(value.value, Mapping):
            yield name, value.value if nested and isinstance(value.value, (bool, int, float)) else value.text()
        elif set(value.value) == {_SECRET}:
            yield name, SecretField(value.child(_SECRET, value.value[_SECRET]).text())
        elif nested:
            yield name, dict(_fields(value, nested=True))
        else:
            value.reject("a field of a form is a text or {secret: NAME}", "post it with sent_as: json")


def _secrets(fields: Mapping[str, Any]) -> Iterator[str]:
    for value in fields.values():
        if isinstance(value, SecretField):
            yield value.name
        elif isinstance(value, Mapping):
            yield from _secrets(value)


def _filled(fields: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if isinstance(value, SecretField):
            yield name, values[value.name]
        else:
            yield name, dict(_filled(value, values)) if isinstance(value, Mapping) else value
