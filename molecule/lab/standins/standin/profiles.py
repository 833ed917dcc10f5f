"""What each application is, as far as an operator can tell from outside."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """One application: where it listens, how it says it is well, and what it needs for that."""

    name: str
    title: str
    port: int
    health_path: str
    websocket_port: int | None = None
    has_database: bool = False
    many_tenants: bool = False
    has_cache: bool = False
    has_file_store: bool = False
    needs_ocr: bool = False
    needs_api_key: bool = False


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="odoo18",
            title="Odoo",
            port=8069,
            websocket_port=8072,
            health_path="/web/health",
            has_database=True,
            many_tenants=True,
            has_cache=True,
            has_file_store=True,
        ),
        Profile(
            name="biznexus",
            title="BizNexus",
            port=3000,
            health_path="/api/health",
            has_database=True,
            needs_ocr=True,
        ),
        Profile(name="ocr", title="OCR", port=8000, health_path="/health", has_database=True, needs_api_key=True),
        Profile(name="langbot", title="LangBot", port=5300, health_path="/health"),
        Profile(name="www", title="Seisei", port=8080, health_path="/healthz"),
    )
}
