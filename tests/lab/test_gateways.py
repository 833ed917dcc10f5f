"""The registry and the secrets store, asked by their gateways: what they answer, and each way in which they do not."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugins.module_utils.gateway.registry import ImageRegistry
from plugins.module_utils.gateway.secret_store import SecretStore
from plugins.module_utils.model.environment import Aws
from plugins.module_utils.model.errors import OpsError

pytestmark = pytest.mark.lab

LAB = Path(__file__).resolve().parents[2] / "build" / "lab"
CA = str(LAB / "ca" / "ca.pem")
SERVER = "10.213.0.3:5000"
STORE = "https://10.213.0.4:5000"
AWS = Aws(endpoint_url=STORE, profile="lab", credentials_file=str(LAB / "aws" / "credentials"), ca_file=CA)


def known() -> dict[str, str]:
    found: dict[str, str] = json.loads((LAB / "secrets.json").read_text())
    return found


def registry(password: str = "", ca_file: str = CA, server: str = SERVER) -> ImageRegistry:
    return ImageRegistry(server, "ops", password or known()["staging/registry-password"], ca_file)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of loopback that is taken, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield int(taken.getsockname()[1])


def test_a_tag_has_a_digest_and_another_tag_another() -> None:
    source = registry()
    good, better = (source.digest(f"{SERVER}/www:{tag}") for tag in ("sha-19b9b98", "sha-724f892"))
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", good)
    assert good == source.digest(f"{SERVER}/www:sha-19b9b98")
    assert good != better


def test_an_unknown_tag_names_those_there_are() -> None:
    with pytest.raises(OpsError, match=r"no tag 'sha-fffffff' of 'www' \(there are: .*sha-19b9b98.*\)"):
        registry().digest(f"{SERVER}/www:sha-fffffff")


def test_an_unknown_image_is_told() -> None:
    with pytest.raises(OpsError, match="no tag 'sha-19b9b98' of 'nothing'"):
        registry().digest(f"{SERVER}/nothing:sha-19b9b98")


@pytest.mark.parametrize("image", ["docker.io/library/redis:7", f"{SERVER}/www", "www:7"])
def test_an_image_of_another_registry_is_not_looked_for(image: str) -> None:
    with pytest.raises(OpsError, match="is not an image of this environment's registry"):
        registry().digest(image)


def test_a_wrong_login_is_told_without_the_password() -> None:
    with pytest.raises(OpsError, match="the login of 'ops' was refused") as caught:
        registry("not-the-password").digest(f"{SERVER}/www:sha-19b9b98")
    assert "not-the-password" not in str(caught.value)


def test_an_authority_that_did_not_sign_is_told() -> None:
    with pytest.raises(OpsError, match=f"registry {SERVER}: its certificate is not trusted"):
        registry(ca_file="").digest(f"{SERVER}/www:sha-19b9b98")


def test_a_closed_port_is_told(closed_port: int) -> None:
    server = f"127.0.0.1:{closed_port}"
    with pytest.raises(OpsError, match=f"registry {server}: does not answer: ConnectionError"):
        registry(server=server).digest(f"{server}/www:sha-19b9b98")


def test_secrets_are_read_by_their_ids() -> None:
    wanted = {key: value for key, value in known().items() if key.startswith("staging/")}
    found = SecretStore(AWS).values(wanted)
    assert {key: found[key] for key in wanted} == wanted


def test_every_missing_secret_is_named_and_none_of_the_values() -> None:
    present = "staging/registry-password"
    with pytest.raises(OpsError, match=r"staging/one .*staging/two ") as caught:
        SecretStore(AWS).values([present, "staging/one", "staging/two"])
    assert known()[present] not in str(caught.value)


def test_more_secrets_than_one_question_takes() -> None:
    ids = [*known(), *(f"none/{number}" for number in range(30))]
    with pytest.raises(OpsError, match="these secrets cannot be read") as caught:
        SecretStore(AWS).values(ids)
    assert all(f"none/{number}" in caught.value.what for number in range(30))


@pytest.mark.parametrize(
    ("aws", "says"),
    [
        (Aws(endpoint_url=STORE, profile="nobody", credentials_file=AWS.credentials_file, ca_file=CA), "nobody"),
        (Aws(endpoint_url=STORE, profile="lab", credentials_file=AWS.credentials_file), "certificate"),
        (Aws(endpoint_url="https://127.0.0.1:1", profile="lab", credentials_file=AWS.credentials_file), "connect"),
    ],
    ids=["unknown profile", "untrusted", "nobody listens"],
)
def test_a_store_that_cannot_be_asked_is_told(aws: Aws, says: str) -> None:
    with pytest.raises(OpsError, match=rf"secrets store {STORE if says != 'connect' else aws.endpoint_url}") as caught:
        SecretStore(aws).values(["staging/registry-password"])
    assert says in caught.value.what.lower()
