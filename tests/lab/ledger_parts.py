"""Ledgers of a test's own in the lab's object storage, and a bucket in which a test may do what nobody should."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit import aws
from labkit.secrets import load_secrets
from labkit.settings import AWS, LEDGER_BUCKET, Lab

from plugins.module_utils.gateway.host_state import now
from plugins.module_utils.gateway.ledger_storage import LedgerStorage
from plugins.module_utils.gateway.signatures import sign
from plugins.module_utils.model.environment import Aws, Environment, LedgerPlace, ObjectStorage, Registry
from plugins.module_utils.model.statement import HAPPENED, Signed, Statement, namespace_of
from plugins.plugin_utils.ledger import Ledger
from tests.lab.procedure_parts import ADDRESSES, Checkout, on_host

LAB = Lab()
ENDPOINT = f"https://{LAB.address(AWS.last)}:{AWS.port}"
CA_FILE = str(LAB.build / "ca" / "ca.pem")
CREDENTIALS = Aws(profile=aws.PROFILE, credentials_file=str(LAB.build / "aws" / "credentials"))


@dataclass
class OwnLedger:
    """A ledger under a prefix of its own. ``copies`` is where its readers keep theirs."""

    copies: Path
    prefix: str = field(default_factory=lambda: f"test/{secrets.token_hex(8)}")
    endpoint: str = ENDPOINT

    def place(self) -> LedgerPlace:
        return LedgerPlace(LEDGER_BUCKET, self.prefix, self.endpoint, ca_file=CA_FILE, object_lock_days=1)

    def environment(self) -> Environment:
        return Environment("production", Registry(), CREDENTIALS, ObjectStorage(), self.place())

    def storage(self) -> LedgerStorage:
        return LedgerStorage(self.place(), CREDENTIALS)

    def ledger(self, who: str = "mine") -> Ledger:
        return Ledger(self.environment(), copies=self.copies / who, writer=f"{who}@laptop")

    # -- what nobody should do --------------------------------------------------------------------------------------

    @property
    def bucket(self) -> Any:
        """A client of the storage, with which everything can be done that Object Lock does not forbid."""
        return aws.client(LAB, "s3", load_secrets(LAB.build / "secrets.json"))

    def key(self, number: int) -> str:
        return f"{self.prefix}/entries/{number:012}.json"

    def overwrite(self, number: int, text: str) -> None:
        self.bucket.put_object(Bucket=LEDGER_BUCKET, Key=self.key(number), Body=text.encode())

    def hide(self, number: int) -> None:
        self.bucket.delete_object(Bucket=LEDGER_BUCKET, Key=self.key(number))

    def text(self, number: int) -> str:
        found = self.bucket.get_object(Bucket=LEDGER_BUCKET, Key=self.key(number))
        return str(found["Body"].read().decode())


# -- who says things ---------------------------------------------------------------------------------------------------

SPOOL, HEAD = "/var/lib/seisei/spool", "/var/lib/seisei/ledger_head.json"
DEPLOY = {"action": "deploy", "outcome": "done", "seconds": 4.2, "flip_ms": 70.1, "by": "kenji@laptop"}
ASIDE = "/var/lib/seisei/set_aside_by_a_test"


def saying(kind: str, by: str, **changed: Any) -> Statement:
    """A statement about a release of ocr, said now."""
    said = {
        "environment": "production",
        "stack": "ocr",
        "release": "sha-19b9b98",
        "digests": {"web": "sha256:" + "a" * 64},
        "definition": "d" * 64,
        "at": now(),
        **changed,
    }
    return Statement(kind=kind, by=by, **said)


def person_says(kind: str, by: str = "approver", **changed: Any) -> Signed:
    """Said by one of the lab's people, and signed with their key."""
    return sign(saying(kind, by, **changed), LAB.build / "signers" / by)


def host_says(host: str, kind: str = HAPPENED, **changed: Any) -> Signed:
    """Said by a host of the lab, signed there with its own key."""
    text = saying(kind, host, **changed).text()
    command = f"ssh-keygen -Y sign -n {namespace_of(kind)} -f /etc/ssh/ssh_host_ed25519_key"
    return Signed(text, on_host(command, host, text))


def spool_on(host: str, signed: Signed) -> None:
    path = f"{SPOOL}/{signed.statement.id}.json"
    on_host(f"mkdir -p {SPOOL} && cat > {path}", host, json.dumps(signed.as_dict()))


def spooled_on(host: str) -> list[str]:
    """The ids of what waits on a host."""
    return on_host(f"ls {SPOOL} 2>/dev/null || true", host).replace(".json", "").split()


def head_on(host: str) -> dict[str, Any]:
    return dict(json.loads(on_host(f"cat {HEAD} 2>/dev/null || echo {{}}", host)))


@contextmanager
def unknowing() -> Iterator[None]:
    """Hosts that know of no ledger and have nothing to say; afterwards they are as they were."""
    with ExitStack() as hosts:
        for host in ADDRESSES:
            hosts.enter_context(_unknowing(host))
        yield


@contextmanager
def _unknowing(host: str) -> Iterator[None]:
    on_host(f"mkdir {ASIDE} && for it in {SPOOL} {HEAD}; do [ ! -e $it ] || mv $it {ASIDE}/; done", host)
    try:
        yield
    finally:
        back = f"for it in {ASIDE}/*; do [ ! -e $it ] || mv $it /var/lib/seisei/; done"
        on_host(f"rm -rf {SPOOL} {HEAD}; {back}; rmdir {ASIDE}", host)


# -- a checkout with a ledger of its own -------------------------------------------------------------------------------

LEDGER_SETTINGS = "inventories/lab/group_vars/all/lab.yml"


def own_ledger(checkout: Checkout) -> OwnLedger:
    """Give a checkout a ledger of its own."""
    own, mark = ledger_of(checkout), "  object_lock_days: 1\n"
    checkout.replace(LEDGER_SETTINGS, mark, f"{mark}  prefix: {own.prefix}\n")
    return own


def ledger_of(checkout: Checkout) -> OwnLedger:
    """That ledger; its prefix is the name of the checkout's folder."""
    folder = checkout.root
    return OwnLedger(folder / "build" / "others", f"test/{folder.parent.name}-{folder.name}")
