"""Which tenant a host name means."""

from __future__ import annotations

import pytest
from standin.tenants import TenantMap, parse_tenant_hosts

TENANTS = ("acme", "globex")
MAP = TenantMap(TENANTS, {"demo.nagashiro.lab": "acme"})


@pytest.mark.parametrize(
    ("host", "tenant"),
    [
        ("acme.erp.staging.lab", "acme"),
        ("ACME.erp.staging.lab:8443", "acme"),
        ("globex.erp.production.lab.", "globex"),
        ("demo.nagashiro.lab", "acme"),
        ("Demo.Nagashiro.lab:443", "acme"),
        ("demo.staging.nagashiro.lab", None),
        ("initech.erp.staging.lab", None),
        ("127.0.0.1:8069", None),
        ("[::1]:8069", None),
        ("", None),
    ],
)
def test_tenant_of(host: str, tenant: str | None) -> None:
    assert MAP.tenant_of(host) == tenant


def test_hosts_are_read() -> None:
    text = " demo.nagashiro.lab = acme, Other.lab=globex,"
    assert parse_tenant_hosts(text, TENANTS) == {"demo.nagashiro.lab": "acme", "other.lab": "globex"}


def test_no_hosts() -> None:
    assert parse_tenant_hosts("", TENANTS) == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("demo.nagashiro.lab", "'demo.nagashiro.lab' is not host=tenant"),
        ("=acme", "is not host=tenant"),
        ("a.lab=", "is not host=tenant"),
        ("a.lab=initech", "'initech' is no tenant: DB_NAMES has acme, globex"),
        ("a.lab=acme,A.lab=globex", "named twice"),
    ],
)
def test_malformed_hosts_are_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_tenant_hosts(text, TENANTS)
