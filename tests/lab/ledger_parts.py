"""Ledgers of a test's own in the lab's object storage, and a bucket in which a test may do what nobody should."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit import aws
from labkit.secrets import load_secrets
from labkit.settings import AWS, LEDGER_BUCKET, Lab

from plugins.module_utils.gateway.ledger_storage import LedgerStorage
from plugins.module_utils.model.environment import Aws, Environment, LedgerPlace, ObjectStorage, Registry
from plugins.plugin_utils.ledger import Ledger

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

    def settings(self) -> str:
        """The environment's key, for -e."""
        return json.dumps({"bucket": LEDGER_BUCKET, "prefix": self.prefix, "endpoint": ENDPOINT, "ca_file": CA_FILE})

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
