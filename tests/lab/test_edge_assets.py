"""Old assets behind a new release, against a real Traefik on loopback: what its failover by status is worth here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from plugins.module_utils.gateway.dialling import Target, through_edge
from plugins.module_utils.gateway.http_probe import ask
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.route import Route
from plugins.module_utils.model.switching import Asset
from plugins.module_utils.plan.edge import Config, compile_stack
from plugins.module_utils.plan.edge_assets import with_old_assets, without_old_assets
from tests.lab.edge_parts import HOST, Backend, Edge, _Answer, backend, traefik

pytestmark = pytest.mark.slow

ASSETS = "/_next/static"


class FrontEnd(_Answer):
    """Has the scripts of its own release only, as BizNexus does."""

    def do_GET(self) -> None:  # noqa: N802 - the server's word
        if self.path.startswith(ASSETS) and self.server.release not in self.path:
            self.path += "?status=404"
        super().do_GET()


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with traefik(tmp_path_factory.mktemp("edge")) as running:
        yield running


@pytest.fixture
def releases() -> Iterator[tuple[Backend, Backend]]:
    """The old one and the new one."""
    with ExitStack() as held:
        found = held.enter_context(backend("sha-01d0000")), held.enter_context(backend("sha-9ee4000"))
        for one in found:
            one.RequestHandlerClass = FrontEnd
        yield found


def config_of(old: Backend, new: Backend) -> Config:
    before, now = (Route("web", (HOST,), "web", server.port) for server in (old, new))
    plain = compile_stack("shop", [now], {"web": "127.0.0.1"}, cert_resolver=None)
    return with_old_assets(
        plain, "shop", [now], [Asset(ASSETS, 60)], [before], {"web": "127.0.0.1"}, cert_resolver=None
    )


def asked(edge: Edge, path: str, method: str = "GET") -> tuple[int, str]:
    target: Target = through_edge("127.0.0.1", HOST, ca_pem=edge.ca_pem, port=edge.secure_port)
    seen = ask(target, path, method=method)
    return seen.status, seen.headers.get("x-release", "")


def test_the_old_release_answers_for_what_the_new_one_does_not_know(
    edge: Edge, releases: tuple[Backend, Backend]
) -> None:
    old, new = releases
    config = config_of(old, new)
    edge.files.place("shop", config)
    edge.api.wait_live(config, 5)
    assert asked(edge, f"{ASSETS}/{old.release}/app.js") == (200, old.release)
    assert asked(edge, f"{ASSETS}/{new.release}/app.js") == (200, new.release)
    assert asked(edge, f"{ASSETS}/sha-0000000/app.js")[0] == 404
    # Everything else is the new one's alone, its own 404 and 502 included, and so is writing.
    assert asked(edge, "/") == (200, new.release)
    assert asked(edge, "/gone?status=404") == (404, new.release)
    assert asked(edge, "/broken?status=502") == (502, new.release)
    assert asked(edge, f"{ASSETS}/{old.release}/app.js", "POST") == (200, new.release)
    assert asked(edge, f"{ASSETS}", "GET") == (404, new.release)

    plain = without_old_assets(config)
    edge.files.place("shop", plain)
    edge.api.wait_live(plain, 5)
    assert asked(edge, f"{ASSETS}/{old.release}/app.js") == (404, new.release)


def test_a_failover_that_is_not_live_is_told(edge: Edge, releases: tuple[Backend, Backend]) -> None:
    old, new = releases
    config = config_of(old, new)
    edge.files.place("shop", without_old_assets(config))
    edge.api.wait_live(without_old_assets(config), 5)
    with pytest.raises(OpsError, match=r"shop-web\.or-old"):
        edge.api.wait_live(config, 0.3)
