"""Where a release is asked: directly, before anybody sees it, and through the edge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .gateway.dialling import Target, off_edge, through_edge
from .gateway.http_probe import ask
from .hands import Host
from .model.release import Release
from .model.route import INTERNAL, Route
from .model.smoke import SmokeTest
from .model.stack import Stack
from .plan.edge import router_name
from .plan.smoke import place_of
from .traffic import TrafficWatch

INTERNAL_PORT, PUBLIC_PORT = 8081, 8443


@dataclass(frozen=True)
class Probes:
    """The ways to a release of a stack on a host."""

    host: Host
    release: Release
    stack: Stack

    def directly(self, test: SmokeTest) -> Target:
        """Where a test is asked off the edge."""
        host, route = place_of(test, self.stack.ops.routes)
        return off_edge(self.host.runtime.probe_address(self.release, route.service), route.port, host)

    def as_visitor(self, test: SmokeTest) -> Target:
        """Where a test is asked through the edge."""
        host, route = place_of(test, self.stack.ops.routes)
        return self.through_edge(route, host)

    def through_edge(self, route: Route, host: str) -> Target:
        """A route's host at this host's edge."""
        address = self.host.edge_address()
        if route.entrypoint == INTERNAL:
            return Target(address, INTERNAL_PORT, host)
        # A new domain's certificate may still be on its way, and is the edge's matter: here only who answers counts.
        return replace(through_edge(address, host, ca_pem=None, port=PUBLIC_PORT), verify=False)

    def first_routes(self) -> Iterator[Route]:
        """One route of each kind of entry point: what leads to the first leads to all, since a stack is one file."""
        seen: set[str] = set()
        for route in self.stack.ops.routes:
            if route.entrypoint not in seen:
                seen.add(route.entrypoint)
                yield route

    def path(self, route: Route) -> str:
        """A path of a route that a release answers without ceremony."""
        for test in self.stack.ops.smoke:
            if place_of(test, self.stack.ops.routes)[1] == route and not (test.login or test.web_socket):
                return test.path
        return route.path_prefix or "/"

    def traffic(self) -> TrafficWatch | None:
        """Counts what passes to this stack from when it is started; None where the edge leads nobody to it."""
        route = next(self.first_routes(), None)
        if route is None:
            return None
        target, path = self.through_edge(route, route.hosts[0]), self.path(route)
        services = [router_name(self.release.stack, one) for one in self.stack.ops.routes]
        return TrafficWatch(self.host.edge_api().metrics, lambda: ask(target, path), services)
