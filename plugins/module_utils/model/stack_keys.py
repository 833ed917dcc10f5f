"""The keys of a stack file outside its services and ``x-ops``, declared once."""

from __future__ import annotations

from .document import Node
from .ops import OPS_KEYS
from .refusals import CONFIG_REFUSALS, NETWORK_REFUSALS, SECRET_REFUSALS, STACK_REFUSALS, VOLUME_REFUSALS
from .service_keys import SERVICE_KEYS
from .vocabulary import Key, Keys
from .words import text

_ENGINE_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_name_at_engine = text(_ENGINE_NAME, "a name the engine takes")

NETWORK_KEYS = Keys(
    Key("external", "true | false", "Made by the stack that owns it, and shared", Node.boolean, default="false"),
    Key("internal", "true | false", "Without a way out of the host", Node.boolean, default="false"),
    Key("name", "text", "What the engine calls it", _name_at_engine,
        default="<stack>_<network>; the network's own name when external"),
    Key("driver", "bridge", "Accepted because it says what happens anyway", lambda node: node.choice(("bridge",)),
        default="bridge"),
    refused=NETWORK_REFUSALS,
)  # fmt: skip
VOLUME_KEYS = Keys(
    Key("name", "text", "What the engine calls it", _name_at_engine, default="<stack>_<volume>"),
    refused=VOLUME_REFUSALS,
)
CONFIG_KEYS = Keys(
    Key("content", "text", "The file's text; ${NAME} is resolved in it", lambda node: node.text(), required=True),
    refused=CONFIG_REFUSALS,
)
SECRET_KEYS = Keys(
    Key("environment", "its own name", "The environment's secret it takes, which gives it its name",
        lambda node: node.text(), required=True),
    refused=SECRET_REFUSALS,
)  # fmt: skip
STACK_KEYS = Keys(
    Key("name", "text", "The stack's name: that of its file, in lower-case letters, digits and dashes", required=True,
        example="name: shop"),
    Key("services", "mapping", "Its services, by name", required=True, keys=SERVICE_KEYS, named=True,
        example="services: {cache: {image: '${REGISTRY}/redis:7', healthcheck: {test: [CMD, redis-cli, ping]}}}"),
    Key("networks", "mapping", "Its networks, by name", keys=NETWORK_KEYS, named=True,
        example="networks: {backend: {internal: true}, edge: {external: true}}",
        note="The network `default` is there when a service names none."),
    Key("volumes", "mapping", "Its volumes, by name", keys=VOLUME_KEYS, named=True, example="volumes: {data: {}}",
        note="They are data: no convergence ever removes one; remove_stack.yml does, by the stack's name."),
    Key("configs", "mapping", "Its configs, by name", keys=CONFIG_KEYS, named=True,
        example="configs: {ca: {content: '${DATABASE_CA}'}}"),
    Key("secrets", "mapping", "Its secrets, by name, in capitals", keys=SECRET_KEYS, named=True,
        example="secrets: {PASSWORD: {environment: PASSWORD}}"),
    Key("x-ops", "mapping", "What Compose cannot say", keys=OPS_KEYS, example="x-ops: {summary: The shop}"),
    refused=STACK_REFUSALS,
)  # fmt: skip
