"""What differs between environments, and nothing else: endpoints, values, names of secrets, baseline releases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .document import Node

RELEASE_PATTERN = r"sha-[0-9a-f]{7,40}"


@dataclass(frozen=True)
class Registry:
    """The image registry. ``password_secret`` is an id in the secrets store, ``ca_file`` a file on the controller."""

    server: str = ""
    username: str = ""
    password_secret: str = ""
    ca_file: str = ""


@dataclass(frozen=True)
class Aws:
    """Where AWS APIs are. Empty fields take the SDK's own default chain (instance role, profile, region)."""

    region: str = "ap-northeast-1"
    endpoint_url: str = ""
    profile: str = ""
    credentials_file: str = ""
    ca_file: str = ""


@dataclass(frozen=True)
class ObjectStorage:
    """Where backups go. ``endpoint`` empty means AWS itself; ``credentials_secret`` empty means the instance role."""

    bucket: str = ""
    prefix: str = ""
    endpoint: str = ""
    region: str = "ap-northeast-1"
    ca_file: str = ""
    credentials_secret: str = ""
    password_secret: str = ""


@dataclass(frozen=True)
class Environment:
    """One environment.

    ``secrets`` maps a name to its id in the store, ``baseline`` a stack to the release that a bare host starts from.
    """

    name: str
    registry: Registry
    aws: Aws
    object_storage: ObjectStorage
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    baseline: Mapping[str, str] = field(default_factory=dict)


def parse_environment(node: Node) -> Environment:
    """Read the variable ``ops_environment``.

    Raises InvalidInput with everything that is wrong.
    """
    keys = node.mapping(("name", "registry", "aws", "object_storage", "variables", "secrets", "baseline"))
    for needed in ("name", "registry"):
        if needed not in keys:
            node.reject(f"'{needed}' is missing", "see inventories/lab/group_vars/staging/environment.yml")
    environment = Environment(
        keys["name"].text(pattern=r"[a-z][a-z0-9-]*", hint="an environment's name") if "name" in keys else "",
        Registry(**_texts(keys.get("registry"), Registry.__dataclass_fields__)),
        Aws(**_texts(keys.get("aws"), Aws.__dataclass_fields__)),
        ObjectStorage(**_texts(keys.get("object_storage"), ObjectStorage.__dataclass_fields__)),
        _names(keys.get("variables")),
        _names(keys.get("secrets")),
        {stack: value.text(pattern=RELEASE_PATTERN) for stack, value in _entries(keys.get("baseline")).items()},
    )
    node.finish()
    return environment


def _entries(node: Node | None) -> dict[str, Node]:
    return node.mapping() if node else {}


def _texts(node: Node | None, accepted: Mapping[str, object]) -> dict[str, str]:
    return {key: value.text() for key, value in (node.mapping(accepted) if node else {}).items()}


def _names(node: Node | None) -> dict[str, str]:
    found = {}
    for name, value in _entries(node).items():
        if not name.isupper() or not name.replace("_", "A").isalnum():
            value.reject(f"'{name}' is not a variable's name", "use upper-case letters, digits and '_'")
        found[name] = value.text()
    return found
