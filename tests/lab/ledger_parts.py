"""Ledgers of a test's own in the lab's object storage, and a bucket in which a test may do what nobody should."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
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
from tests.lab.procedure_parts import ADDRESSES, Checkout, Run, on_host, play

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

    def erase(self) -> None:
        """Take everything away, as only those may who can lift a lock: the lab keeps its storage in memory."""
        store = self.bucket
        for page in store.get_paginator("list_object_versions").paginate(Bucket=LEDGER_BUCKET, Prefix=self.prefix):
            for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                gone = {"Bucket": LEDGER_BUCKET, "Key": one["Key"], "VersionId": one["VersionId"]}
                store.delete_object(**gone, BypassGovernanceRetention=True)

    def text(self, number: int) -> str:
        found = self.bucket.get_object(Bucket=LEDGER_BUCKET, Key=self.key(number))
        return str(found["Body"].read().decode())


# -- who says things ---------------------------------------------------------------------------------------------------

DEPLOY = {"action": "deploy", "outcome": "done", "seconds": 4.2, "flip_ms": 70.1, "by": "kenji@laptop"}


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


# -- a checkout with a ledger of its own -------------------------------------------------------------------------------

LEDGER_SETTINGS = "inventories/lab/group_vars/all/lab.yml"
_ROOT = "def __init__(self, root: Path = ROOT) -> None:"


@dataclass
class OwnCheckout:
    """A checkout with a ledger of its own, whose hosts keep what they say to it in a place of its own as well."""

    checkout: Checkout
    state: str
    own: OwnLedger

    @property
    def root(self) -> Path:
        return self.checkout.root

    def play(self, playbook: str, *words: str) -> Run:
        return play(playbook, *words, checkout=self.root)

    def spool(self, host: str, signed: Signed) -> None:
        path = f"{self.state}/spool/{signed.statement.id}.json"
        on_host(f"mkdir -p {self.state}/spool && cat > {path}", host, json.dumps(signed.as_dict()))

    def waiting(self, host: str) -> list[str]:
        """The ids of what waits on a host."""
        return sorted(on_host(f"ls {self.state}/spool 2>/dev/null || true", host).replace(".json", "").split())

    def head(self, host: str) -> dict[str, Any]:
        return dict(json.loads(on_host(f"cat {self.state}/ledger_head.json", host)))

    def written(self) -> list[str]:
        """The ids of what is in the ledger, as somebody reads it who never did."""
        return [one.statement.id for one in self.own.ledger("reader").signed()]

    def away(self, *, ended: bool = False) -> None:
        """Have the storage not answer, or answer again."""
        place = "  bucket: seisei-ledger\n  endpoint: https://10.213.0.4:"
        here, nowhere = f"{place}5000\n", f"{place}1\n"
        self.checkout.replace(LEDGER_SETTINGS, nowhere if ended else here, here if ended else nowhere)


def own_checkout(checkout: Checkout, state: str) -> OwnCheckout:
    """``state`` is where hosts keep spool and head for this checkout."""
    folder = checkout.root
    own = OwnLedger(folder / "build" / "others", f"test/{folder.parent.name}-{folder.name}")
    mark = "  object_lock_days: 1\n"
    checkout.replace(LEDGER_SETTINGS, mark, f"{mark}  prefix: {own.prefix}\n")
    checkout.replace("plugins/module_utils/gateway/host_spool.py", _ROOT, _ROOT.replace("ROOT)", f'Path("{state}"))'))
    return OwnCheckout(checkout, state, own)


@contextmanager
def own_state() -> Iterator[str]:
    """A directory on hosts that goes afterwards."""
    state = f"/var/lib/seisei-test-{secrets.token_hex(4)}"
    try:
        yield state
    finally:
        for host in ADDRESSES:
            on_host(f"rm -rf {state}", host)
