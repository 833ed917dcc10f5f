"""What a switch does beside moving requests, on a host of the lab: notice, old assets, pauses, budgets, smoke tests.

On staging, where nobody has to approve anything.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from plugins.module_utils.gateway.dialling import Target
from plugins.module_utils.gateway.http_probe import ask
from plugins.module_utils.gateway.web_socket import WebSocket

from .procedure_parts import ADDRESSES, BETTER, BROKEN, GOOD, Checkout, Run, on_host, play

pytestmark = [pytest.mark.lab, pytest.mark.slow]

HOST, ENVIRONMENT = "staging-1", "staging"
CLIENTS = 10


def deploy(stack: str, release: str, **options: Any) -> Run:
    """Deploy to staging."""
    return play("deploy", "--limit", ENVIRONMENT, "-e", f"stack={stack}", "-e", f"release={release}", **options)


def roll_back(stack: str, *words: str, **options: Any) -> Run:
    """Roll back in staging."""
    return play("roll_back", "--limit", ENVIRONMENT, "-e", f"stack={stack}", *words, **options)


def receipt(run: Run) -> dict[str, Any]:
    """What a run told that had to succeed."""
    assert run.code == 0, run.text
    return run.told(HOST)


@pytest.fixture
def bring() -> Iterator[Callable[[str, str], None]]:
    """Has staging serve a release of the real definition, before and after a test."""
    used: set[str] = set()

    def to(stack: str, release: str) -> None:
        used.add(stack)
        run = deploy(stack, release)
        assert run.code == 0, run.text

    yield to
    for stack in used:
        to(stack, GOOD)


def edge(name: str) -> Target:
    """A host's name, at staging's edge, whatever its certificate."""
    return Target(ADDRESSES[HOST], 443, name, tls=True, verify=False)


def containers(stack: str) -> dict[str, str]:
    """State by name of the containers of released services."""
    told = on_host(
        f"docker ps -a --filter label=ops.seisei.stack={stack} --format '{{{{.Names}}}} {{{{.State}}}}'", HOST
    )
    return {name: state for name, state in (line.split() for line in told.splitlines()) if name[-1].isdigit()}


# -- web sockets -------------------------------------------------------------------------------------------------------


def opened(name: str) -> tuple[WebSocket, str]:
    """A web socket through the edge, and the release that greeted."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw = socket.create_connection((ADDRESSES[HOST], 443), 10)
    found = WebSocket(context.wrap_socket(raw, server_hostname=name))
    assert found.open("/ws", {"Host": name}) == b""
    return found, str(json.loads(found.receive() or "{}")["release"])


class Client(threading.Thread):
    """Holds a web socket, and comes back once when it is closed."""

    def __init__(self, name: str) -> None:
        super().__init__(daemon=True)
        self.host = name
        self.socket, self.first = opened(name)
        self.code = 0
        self.second = ""
        self.away_s = 0.0

    def run(self) -> None:
        self.socket.stream.settimeout(120)
        assert self.socket.receive() is None
        began, self.code = time.monotonic(), self.socket.closed
        self.socket, self.second = opened(self.host)
        self.away_s = time.monotonic() - began


def test_clients_of_web_sockets_come_back_to_the_new_release(bring: Callable[[str, str], None]) -> None:
    bring("langbot", GOOD)
    clients = [Client("langbot.staging.lab") for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    told = receipt(deploy("langbot", BETTER))
    for client in clients:
        client.join(30)
    assert {(client.first, client.code, client.second) for client in clients} == {(GOOD, 1012, BETTER)}
    assert max(client.away_s for client in clients) < 5
    assert told["drained"]["in_flight"] >= CLIENTS
    assert (told["drained"]["cut"], told["drained"]["left"]) == (0, 0)
    assert told["drained"]["seconds"] < 10
    assert (told["traffic"]["failed"], told["traffic"]["probes_failed"]) == (0, 0)


def test_without_notice_they_are_left_with_the_old_release(
    bring: Callable[[str, str], None], checkout: Checkout
) -> None:
    path = "inventories/stacks/langbot.yml"
    checkout.replace(path, "  drain_notice: SIGUSR1\n", "")
    checkout.replace(path, "drain_limit: 30s", "drain_limit: 2s")
    bring("langbot", BETTER)
    receipt(deploy("langbot", GOOD, checkout=checkout.root))
    client, _ = opened("langbot.staging.lab")
    told = receipt(deploy("langbot", BETTER, checkout=checkout.root))
    assert (told["drained"]["left"], told["drained"]["cut"]) == (1, 0)
    client.send("still there")
    assert "still there" in str(client.receive())


def test_a_paused_standby_is_back_at_once(bring: Callable[[str, str], None], checkout: Checkout) -> None:
    bring("langbot", BETTER)
    checkout.replace("inventories/stacks/langbot.yml", "  standby: running", "  standby: paused")
    for release in (GOOD, BETTER):
        receipt(deploy("langbot", release, checkout=checkout.root))
    assert sorted(containers("langbot").values()) == ["paused", "running"]
    time.sleep(6)  # the engine's next check of a paused container, which makes it unhealthy, cannot be asked for
    rehearsal = roll_back("langbot", "--check", checkout=checkout.root)
    assert rehearsal.line(GOOD).startswith("langbot:")
    assert " paused " in rehearsal.text
    told = receipt(roll_back("langbot", checkout=checkout.root))
    assert told["steps"]["wait for health"] < 3
    assert sorted(containers("langbot").values()) == ["paused", "running"]


# -- assets ------------------------------------------------------------------------------------------------------------


def test_pages_that_were_open_find_their_scripts(bring: Callable[[str, str], None]) -> None:
    bring("biznexus", GOOD)
    receipt(deploy("biznexus", BETTER))
    target = edge("biznexus.staging.lab")
    seen = {release: ask(target, f"/_next/static/{release}/app.js") for release in (GOOD, BETTER, BROKEN)}
    assert {name: one.status for name, one in seen.items()} == {GOOD: 200, BETTER: 200, BROKEN: 404}
    assert seen[GOOD].headers["x-release"] == GOOD
    assert ask(target, "/whoami").headers["x-release"] == BETTER
    drift = play("converge", "--limit", ENVIRONMENT, "--check", "-e", "mode=drift")
    assert "place route biznexus" not in drift.text


def test_what_a_switch_left_ends_by_itself(bring: Callable[[str, str], None], checkout: Checkout) -> None:
    path = "inventories/stacks/biznexus.yml"
    bring("biznexus", BETTER)
    checkout.replace(path, "for: 1h}", "for: 5s}")
    checkout.replace(path, "standby_for: 24h", "standby_for: 10s")
    for release in (GOOD, BETTER):
        receipt(deploy("biznexus", release, checkout=checkout.root))
    deadline = time.monotonic() + 150  # seisei-tend looks every minute
    while sorted(containers("biznexus").values()) != ["exited", "running"]:
        assert time.monotonic() < deadline
        time.sleep(2)
    assert ask(edge("biznexus.staging.lab"), f"/_next/static/{GOOD}/app.js").status == 404
    assert receipt(roll_back("biznexus", checkout=checkout.root))["outcome"] == "done"


# -- the database ------------------------------------------------------------------------------------------------------


def test_a_server_without_room_is_seen_before_anything_starts(
    bring: Callable[[str, str], None], checkout: Checkout
) -> None:
    path = "inventories/stacks/biznexus.yml"
    bring("biznexus", GOOD)
    checkout.replace(path, "    pool: 4\n", "    pool: 60\n")
    receipt(deploy("biznexus", BETTER, checkout=checkout.root))
    refused = deploy("biznexus", GOOD, checkout=checkout.root)
    assert refused.code != 0
    assert "takes 97 connections (100 less 3 reserved), and 120 would be wanted" in refused.text
    assert "start the candidate" not in refused.text

    checkout.replace(path, "    pool: 60\n", "    pool: 60\n    when_short: stop_first\n")
    told = receipt(deploy("biznexus", GOOD, checkout=checkout.root))
    assert told["downtime_s"] > 0
    assert told["traffic"]["failed"] > 0
    assert "nobody was served for" in told["warnings"][0]

    broken = deploy("biznexus", BROKEN, checkout=checkout.root)
    assert broken.code != 0
    assert ask(edge("biznexus.staging.lab"), "/whoami").headers["x-release"] == GOOD


def test_a_rehearsed_rollback_tells_the_schema(bring: Callable[[str, str], None]) -> None:
    bring("biznexus", GOOD)
    done = play("migrate", "--limit", ENVIRONMENT, "-e", "stack=biznexus", "-e", f"release={BETTER}")
    assert done.code == 0, done.text
    receipt(deploy("biznexus", BETTER))
    told = roll_back("biznexus", "--check").line("safe: works with 0003_add_customer_tier")
    assert told.split()[:2] == ["1", GOOD]


# -- smoke -------------------------------------------------------------------------------------------------------------


def test_every_kind_of_smoke_test_fails_for_its_own_reason(
    bring: Callable[[str, str], None], checkout: Checkout
) -> None:
    bring("odoo18", GOOD)
    for breaks, reason in (
        ("login", "a person logs in: the login POST /web/login answered 401"),
        ("web_socket", "the web socket talks: the web socket /websocket said"),
        ("smoke", "main page: GET / answered 500"),
    ):
        before, broken = '      DB_POOL: "4"\n', f'      DB_POOL: "4"\n      BREAK: {breaks}\n      ALLOW_FAULTS: "1"\n'
        checkout.replace("inventories/stacks/odoo18.yml", before, broken)
        run = deploy("odoo18", BETTER, checkout=checkout.root)
        checkout.replace("inventories/stacks/odoo18.yml", broken, before)
        assert run.code != 0
        assert reason in run.text
        assert "smoke tests 5/6" in run.text
    assert receipt(deploy("odoo18", BETTER))["smoke"] == "6/6"
