"""What differs between environments, and nothing else: endpoints, values, names of secrets, baseline releases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .document import Node
from .gate import GATE_KEYS, Gate, parse_gate
from .vocabulary import Key, Keys

RELEASE_PATTERN = r"sha-[0-9a-f]{7,40}"
LOCK_MODES = ("governance", "compliance")
_BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"
_PREFIX = r"(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*)?"
_TEN_YEARS = 3660


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
class LedgerPlace:
    """Where the ledger is: one for all environments. ``endpoint`` empty means AWS itself.

    The controller's own credentials are used, as ``aws`` names them. ``object_lock_days`` 0 leaves it to the bucket's
    default retention.
    """

    bucket: str = ""
    prefix: str = ""
    endpoint: str = ""
    region: str = "ap-northeast-1"
    ca_file: str = ""
    object_lock_days: int = 0
    object_lock: str = "governance"


@dataclass(frozen=True)
class Environment:
    """One environment.

    ``secrets`` maps a name to its id in the store, ``baseline`` a stack to the release that a bare host starts from.
    """

    name: str
    registry: Registry
    aws: Aws
    object_storage: ObjectStorage
    ledger: LedgerPlace = LedgerPlace()
    variables: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    baseline: Mapping[str, str] = field(default_factory=dict)
    gate: Gate = field(default_factory=Gate)


def _text(node: Node) -> str:
    return node.text()


def _names(node: Node) -> dict[str, str]:
    found = {}
    for name, value in node.mapping().items():
        if not name.isupper() or not name.replace("_", "A").isalnum():
            value.reject(f"'{name}' is not a variable's name", "use upper-case letters, digits and '_'")
        found[name] = value.text()
    return found


def _baseline(node: Node) -> dict[str, str]:
    return {stack: value.text(pattern=RELEASE_PATTERN) for stack, value in node.mapping().items()}


def _ledger(node: Node) -> LedgerPlace:
    if isinstance(node.value, Mapping) and not node.value.get("bucket"):
        node.reject("'bucket' is missing", "name the bucket that all environments share, or leave ledger out")
    return LedgerPlace(**LEDGER_KEYS.read(node))


REGISTRY_KEYS = Keys(
    Key("server", "text", "Its address; stack files know it as ${REGISTRY}", _text),
    Key("username", "text", "Who logs in; nobody when left out", _text),
    Key("password_secret", "text", "Id of the password in the secrets store", _text),
    Key("ca_file", "text", "File on the controller with its certificate authority", _text),
    notes=False,
)
AWS_KEYS = Keys(
    Key("region", "text", "The region", _text, default=Aws.region),
    Key("endpoint_url", "text", "Another address than AWS itself", _text),
    Key("profile", "text", "A profile of the credentials file", _text),
    Key("credentials_file", "text", "File on the controller with the credentials", _text),
    Key("ca_file", "text", "File on the controller with the certificate authority of endpoint_url", _text),
    notes=False,
)
STORAGE_KEYS = Keys(
    Key("bucket", "text", "The bucket", _text),
    Key("prefix", "text", "What comes before every name in it", _text),
    Key("endpoint", "text", "Another address than AWS itself", _text),
    Key("region", "text", "The region", _text, default=ObjectStorage.region),
    Key("ca_file", "text", "File on the controller with the certificate authority of endpoint", _text),
    Key(
        "credentials_secret",
        "text",
        "Id of the access key in the secrets store; the host's own role when left out",
        _text,
    ),
    Key("password_secret", "text", "Id of the key that backups are encrypted with", _text),
    notes=False,
)
LEDGER_KEYS = Keys(
    Key("bucket", "text", "The bucket, with versioning and Object Lock",
        lambda node: node.text(pattern=_BUCKET, hint="a bucket's name"), required=True),
    Key("prefix", "text", "What comes before every name in it",
        lambda node: node.text(pattern=_PREFIX, hint="a path without '/' at its ends")),
    Key("endpoint", "text", "Another address than AWS itself",
        lambda node: node.text(pattern=r"https?://\S+", hint="an address",
                               do="write it like https://s3.ap-northeast-1.amazonaws.com")),
    Key("region", "text", "The region", _text, default=LedgerPlace.region),
    Key("ca_file", "text", "File on the controller with the certificate authority of endpoint", _text),
    Key("object_lock_days", "number", "How many days nobody can delete an entry; 0 leaves it to the bucket",
        lambda node: node.integer(least=0, most=_TEN_YEARS), default="0"),
    Key("object_lock", " | ".join(LOCK_MODES), "Whether some may lift that lock, or nobody",
        lambda node: node.choice(LOCK_MODES, LOCK_MODES[0]), default=LOCK_MODES[0]),
    notes=False,
)  # fmt: skip
ENVIRONMENT_KEYS = Keys(
    Key("name", "text", "The environment's name; stack files know it as ${ENVIRONMENT}",
        lambda node: node.text(pattern=r"[a-z][a-z0-9-]*", hint="an environment's name"), required=True),
    Key("registry", "mapping", "The image registry", lambda node: Registry(**REGISTRY_KEYS.read(node)),
        keys=REGISTRY_KEYS, required=True),
    Key("aws", "mapping", "Where AWS is; what is left out is as the SDK finds it",
        lambda node: Aws(**AWS_KEYS.read(node)), keys=AWS_KEYS),
    Key("object_storage", "mapping", "Where backups go", lambda node: ObjectStorage(**STORAGE_KEYS.read(node)),
        keys=STORAGE_KEYS),
    Key("ledger", "mapping", "Where it is written who allowed and did what; the same for all environments", _ledger,
        keys=LEDGER_KEYS),
    Key("variables", "mapping", "Values that stack files know as ${NAME}", _names),
    Key("secrets", "mapping", "Ids in the secrets store of the secrets that stack files name", _names),
    Key("baseline", "mapping", "The release of each stack that a bare host starts from, as sha-<commit>", _baseline),
    Key("gate", "mapping", "What a release has to have before it may go live here", parse_gate, keys=GATE_KEYS),
    notes=False,
)  # fmt: skip


def parse_environment(node: Node) -> Environment:
    """Read the variable ``ops_environment``.

    Raises InvalidInput with everything that is wrong.
    """
    given = node.value if isinstance(node.value, Mapping) else {}
    for needed in (key.name for key in ENVIRONMENT_KEYS.values() if key.required):
        if needed not in given:
            node.reject(f"'{needed}' is missing", "see inventories/lab/group_vars/staging/environment.yml")
    nothing = {"name": "", "registry": Registry(), "aws": Aws(), "object_storage": ObjectStorage()}
    environment = Environment(**{**nothing, **ENVIRONMENT_KEYS.read(node)})
    node.finish()
    return environment
