"""What the modules backup and restore get from the controller: the stack, the storage, and the secrets for both."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..module_utils.model.errors import OpsError
from .estate import EstateAction


class BackupAction(EstateAction):
    """Base of the two actions."""

    _supports_check_mode = True

    def run_with_places(self, module: str) -> dict[str, Any]:
        """Run a module with everything that it needs to reach storage and database.

        :raises OpsError: when the environment names no storage, or a secret is not to be had.
        """
        stack = self.stack(str(self.arguments["stack"]))
        storage = self.environment.object_storage
        if not storage.bucket or not storage.password_secret:
            raise OpsError(
                f"environment '{self.environment.name}' names no object storage for backups",
                where="ops_environment.object_storage",
                do="name bucket and password_secret there",
            )
        names = [storage.password_secret, *([storage.credentials_secret] if storage.credentials_secret else [])]
        values = self.values(names)
        password = stack.ops.database.password if stack.ops.database else ""
        given = {key: value for key, value in self.arguments.items() if value is not None}
        return self.run_module(
            module,
            {
                **given,
                "tree": stack.tree,
                "environment_name": self.environment.name,
                "database_password": self.secrets_for([password])[password] if password else "",
                "storage": asdict(storage),
                "storage_ca": _certificate(storage.ca_file),
                "storage_password": values[storage.password_secret],
                "storage_credentials": values.get(storage.credentials_secret, ""),
            },
        )


def _certificate(path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text()
    except OSError as error:
        raise OpsError(
            f"the CA of the object storage cannot be read: {error.strerror}",
            where=f"{path} (ops_environment.object_storage.ca_file)",
            do="put the PEM file there, or correct the path",
        ) from error
