"""Which tenant a host name means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class TenantMap:
    """Tenants by the first label of the host name, or by a customer's own domain."""

    tenants: tuple[str, ...]
    by_host: Mapping[str, str]

    def tenant_of(self, host: str) -> str | None:
        """The tenant a ``Host`` header means (a port is ignored), or None when nobody lives there."""
        name = _without_port(host).rstrip(".").lower()
        if name in self.by_host:
            return self.by_host[name]
        label = name.split(".", 1)[0]
        return label if label in self.tenants else None


def parse_tenant_hosts(text: str, tenants: tuple[str, ...]) -> dict[str, str]:
    """Read ``host=tenant,host=tenant``.

    Raises ValueError for an entry without both halves, a host named twice or a tenant that does not exist.
    """
    hosts: dict[str, str] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        host, sign, tenant = (part.strip() for part in entry.partition("="))
        if not (host and sign and tenant):
            raise ValueError(f"{entry!r} is not host=tenant")
        if tenant not in tenants:
            raise ValueError(f"{tenant!r} is no tenant: DB_NAMES has {', '.join(tenants) or 'none'}")
        if host.lower() in hosts:
            raise ValueError(f"{host!r} is named twice")
        hosts[host.lower()] = tenant
    return hosts


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0].lstrip("[")
    return host.partition(":")[0]
