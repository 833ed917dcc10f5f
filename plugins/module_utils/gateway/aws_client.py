"""Clients of AWS by what an environment says of it, for every gateway that asks one of its services."""

from __future__ import annotations

import botocore.config
import botocore.loaders
import botocore.session
from botocore.client import BaseClient

from ..model.environment import Aws

# What the SDK reads of its own files to make a client takes longer than asking: read once in a process.
_models = botocore.loaders.create_loader()


def session(profile: str = "") -> botocore.session.Session:
    """A session that reads the SDK's files but once."""
    core = botocore.session.Session(profile=profile or None)
    core.register_component("data_loader", _models)
    return core


def connect(
    service: str, aws: Aws, config: botocore.config.Config, *, region: str, endpoint: str, ca_file: str
) -> BaseClient:
    """A client of a service with the credentials of ``aws``; an empty ``endpoint`` or ``ca_file`` is the SDK's own."""
    core = session(aws.profile)
    if aws.credentials_file:
        core.set_config_variable("credentials_file", aws.credentials_file)
    return core.create_client(
        service, region_name=region, endpoint_url=endpoint or None, verify=ca_file or None, config=config
    )
