"""The second line of defence against secrets in texts and data."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.model.masking import MASK, Veil, mask_text, mask_tree, sounds_secret, veil_for

SECRET = "hunter2-Zx9"


@pytest.mark.parametrize(
    "key",
    ["password", "DB_PASSWORD", "db-password", "apiKey", "ACCESS_KEY", "access_keys", "client_secret", "Authorization",
     "GEMINI_API_KEY", "token", "passphrase", "privateKey", "credentials", "secrets"],
)  # fmt: skip
def test_a_key_that_sounds_secret(key: str) -> None:
    assert sounds_secret(key)


@pytest.mark.parametrize(
    "key", ["secret_name", "passed", "tokenizer", "key", "public_key", "password_file", "bypass", "host"]
)
def test_a_key_that_does_not(key: str) -> None:
    assert not sounds_secret(key)


@pytest.mark.parametrize(
    "text",
    [
        f"DB_PASSWORD={SECRET} was refused",
        f"--password={SECRET}",
        f"password='{SECRET}'",
        f"postgres://odoo:{SECRET}@10.0.0.1:5432/acme",
        f'{{"user": "odoo", "password": "{SECRET}"}}',
        f"{{'user': 'odoo', 'api_key': '{SECRET}'}}",
        f"+db_password: {SECRET}\n other: 1",
        f"a: 1\n  secret: {SECRET}\n",
        f"Authorization: Bearer {SECRET}",
        f"authorization=Basic {SECRET}",
        f"sent bearer {SECRET}{SECRET}",
        f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}\n-----END OPENSSH PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\ncut short",
    ],
)
def test_a_secret_in_a_text_is_masked(text: str) -> None:
    masked = mask_text(text)
    assert SECRET not in masked
    assert MASK in masked


@pytest.mark.parametrize(
    "text",
    [
        "staging/odoo18-database-password: missing in the secrets store. Next: create it",
        "the token has expired",
        "https://example.org:8443/path?query=1",
        "basic authentication was refused",
        "a@b.example wrote: nothing",
        "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----",
        "",
    ],
)
def test_a_plain_text_stays(text: str) -> None:
    assert mask_text(text) == text


def test_the_rest_of_a_message_stays_readable() -> None:
    said = mask_text(f"postgres.lab: login as odoo failed for postgres://odoo:{SECRET}@postgres.lab/acme")
    assert said == f"postgres.lab: login as odoo failed for postgres://odoo:{MASK}@postgres.lab/acme"


def test_data_is_masked_by_key_and_by_text() -> None:
    tree = {
        "db": {"password": SECRET, "user": "odoo", "url": f"redis://:{SECRET}@cache"},
        "tokens": [SECRET, SECRET],
        "has_password": True,
        "no_token": None,
        "count": 3,
        7: ("a", f"api_key={SECRET}"),
    }
    masked = mask_tree(tree)
    assert SECRET not in json.dumps(masked)
    assert masked["db"]["user"] == "odoo"
    assert masked["tokens"] == MASK
    assert masked["has_password"] is True
    assert masked["no_token"] is None
    assert masked["count"] == 3
    assert masked["7"][0] == "a"


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(JSONISH)
def test_masked_data_is_always_json_and_masking_it_again_changes_nothing(value: object) -> None:
    once = mask_tree(value)
    json.dumps(once)
    assert mask_tree(once) == once


@given(st.text(alphabet=st.characters(codec="ascii", categories=["L", "N"]), min_size=6))
def test_a_password_in_an_address_never_stays(secret: str) -> None:
    assert f":{secret}@" not in mask_text(f"see postgres://user:{secret}@host/db")


def test_a_veil_hides_values_wherever_they_stand() -> None:
    veil = veil_for({
        "secrets": {"KEY": "geheim!", "LONG": "geheim! und mehr", "SHORT": "odoo", "PEM": "line one\nline \"two\""},
        "registry_auth": json.dumps({"username": "deployer", "password": "registry-pass"}),
    })  # fmt: skip
    said = {"say": "geheim! of odoo, deployer/registry-pass", "in": [("x geheim! und mehr", 1)], "geheim!": None}
    assert veil.over(said) == {"say": f"{MASK} of odoo, deployer/{MASK}", "in": [[f"x {MASK}", 1]], "geheim!": None}
    assert MASK in veil.over(repr({"body": 'line one\nline "two"'}))
    assert MASK in veil.over(json.dumps({"body": 'line one\nline "two"'}))
    assert veil_for({}).over("all") == Veil().over("all") == "all"
