"""AWS Secrets Manager, read in batches, once per run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

import botocore.config
from botocore.client import BaseClient
from botocore.exceptions import BotoCoreError, ClientError

from ..model.environment import Aws
from ..model.errors import OpsError
from .aws_client import connect, session

_BATCH = 20  # the most that BatchGetSecretValue takes
_SERVICE = "secretsmanager"


def warm() -> None:
    """Read the SDK's files ahead of the first client. Nobody is asked, and no credentials are looked for."""
    core = session()
    with suppress(BotoCoreError):
        core.create_client(_SERVICE, region_name="none", aws_access_key_id="none", aws_secret_access_key="none")


class SecretStore:
    """Secrets by their id."""

    def __init__(self, aws: Aws) -> None:
        self.aws = aws
        self._client: BaseClient | None = None
        self._known: dict[str, str] = {}

    def values(self, ids: Iterable[str]) -> Mapping[str, str]:
        """Values by id; asked for once, kept in memory only.

        Raises OpsError naming every id that is missing or may not be read.
        """
        missing = sorted(set(ids) - set(self._known))
        faults: list[str] = []
        for start in range(0, len(missing), _BATCH):
            answer = self._ask(missing[start : start + _BATCH])
            for found in answer.get("SecretValues", []):
                if "SecretString" in found:  # an id is a name or an ARN
                    self._known |= dict.fromkeys((found["Name"], found["ARN"]), found["SecretString"])
                else:
                    faults.append(f"{found['Name']} (it is binary, not text)")
            faults += [f"{fault['SecretId']} ({fault['ErrorCode']})" for fault in answer.get("Errors", [])]
        absent = [name for name in missing if name not in self._known]
        if absent:
            raise OpsError(
                f"these secrets cannot be read: {', '.join(faults) or ', '.join(absent)}",
                where=f"secrets store {self.aws.endpoint_url or self.aws.region}",
                do="create them, or allow this role to read them",
            )
        return self._known

    def _ask(self, ids: list[str]) -> dict[str, Any]:
        try:
            return dict(self._connected().batch_get_secret_value(SecretIdList=ids))  # type: ignore[attr-defined]
        except ClientError as error:
            raise OpsError(
                f"refused: {error}",
                where=f"secrets store {self.aws.endpoint_url or self.aws.region}",
                do="check the profile and its permissions; nothing was changed",
            ) from error
        except (BotoCoreError, OSError) as error:
            raise OpsError(
                f"does not answer: {error}",
                where=f"secrets store {self.aws.endpoint_url or self.aws.region}",
                do="check the network, the profile and its permissions; nothing was changed",
            ) from error

    def _connected(self) -> BaseClient:
        if self._client is None:
            aws = self.aws
            config = botocore.config.Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 2})
            self._client = connect(
                _SERVICE, aws, config, region=aws.region, endpoint=aws.endpoint_url, ca_file=aws.ca_file
            )
        return self._client
