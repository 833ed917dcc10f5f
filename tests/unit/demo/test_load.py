"""The load generator against a server of this machine: what it counts, and whom it refuses to ask."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from labkit.pki import load_or_make_authority

from bin.story.visits import visit
from plugins.module_utils.model.errors import OpsError
from tests.bench.load import Load, Target, main

HOST = "shop.example.test"


class Shop(ThreadingHTTPServer):
    """Answers over TLS with its release; ``status`` and ``hang_up`` are set by tests."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext, authority: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.authority = authority
        self.release = "sha-aaaaaaa"
        self.status = 200
        self.hang_up = False
        self.paths: set[str] = set()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that refuses our certificate is what a test wants, and no news."""

    def target(self, host: str = HOST) -> Target:
        return Target(host, "127.0.0.1", self.authority, int(self.server_address[1]))


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: Shop

    def do_GET(self) -> None:
        self.server.paths.add(self.path)
        if self.server.hang_up:
            self.close_connection = True
            return
        received = len(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        body = json.dumps({"bytes": received}).encode()
        self.send_response(self.server.status)
        self.send_header("X-Release", self.server.release)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Tests read answers, not logs."""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    authority = load_or_make_authority(tmp_path / "ca")
    chain, key = authority.issue((HOST,), "127.0.0.1")
    (tmp_path / "chain.pem").write_text(chain)
    (tmp_path / "key.pem").write_text(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    server = Shop(context, (tmp_path / "ca" / "ca.pem").read_text())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def wait_for(load: Load, count: int) -> None:
    deadline = time.monotonic() + 20
    while len(load.samples) < count:
        assert time.monotonic() < deadline, f"only {len(load.samples)} answers"
        time.sleep(0.01)


def test_every_kind_of_request_is_sent_and_answered(shop: Shop) -> None:
    with Load(shop.target(), rate=100) as load:
        wait_for(load, 40)
    figures = load.figures()
    assert (figures.failed, figures.problems) == (0, {})
    assert figures.kinds.keys() == {"page", "quick", "slow", "upload", "slow upload", "new connection"}
    assert figures.releases == {"sha-aaaaaaa": figures.requests}
    assert shop.paths == {"/", "/whoami", "/slow?seconds=1", "/upload"}


def test_a_switch_is_seen_when_it_happens(shop: Shop) -> None:
    with Load(shop.target(), rate=100) as load:
        wait_for(load, 30)
        shop.release = "sha-bbbbbbb"
        switched = load.seconds()
        wait_for(load, 60)
    before, after = load.figures().timeline
    assert (before.release, after.release) == ("sha-aaaaaaa", "sha-bbbbbbb")
    assert after.first_s == pytest.approx(switched, abs=0.5)
    assert load.figures(since=switched + 0.5).releases.keys() <= {"sha-bbbbbbb"}


@pytest.mark.parametrize(("status", "problem"), [(502, "HTTP 502"), (404, "HTTP 404"), (302, "HTTP 302")])
def test_any_other_answer_is_a_failure(shop: Shop, status: int, problem: str) -> None:
    shop.status = status
    with Load(shop.target(), rate=100) as load:
        wait_for(load, 10)
    assert load.figures().problems == {problem: load.figures().requests}


def test_a_connection_that_ends_is_a_failure_and_nothing_is_repeated(shop: Shop) -> None:
    with Load(shop.target(), rate=100) as load:
        wait_for(load, 20)
        shop.hang_up = True
        wait_for(load, 40)
    figures = load.figures()
    assert figures.failed > 0
    assert all("before an answer" in problem or "before the request" in problem for problem in figures.problems)


def test_a_certificate_for_another_name_is_a_failure(shop: Shop) -> None:
    with Load(shop.target("other.example.test"), rate=50) as load:
        wait_for(load, 3)
    assert load.figures().failed == load.figures().requests
    assert "certificate" in next(iter(load.figures().problems)).lower()


def test_a_server_that_is_gone_is_a_failure(shop: Shop) -> None:
    nobody = Target(HOST, "127.0.0.1", shop.authority, port=1)
    with Load(nobody, rate=50) as load:
        wait_for(load, 3)
    assert load.figures().failed == load.figures().requests


def test_a_load_that_cannot_begin_says_so() -> None:
    with pytest.raises(ssl.SSLError), Load(Target(HOST, "127.0.0.1", "no certificate"), rate=10):
        pass


@pytest.mark.parametrize("address", ["93.184.215.14", "10.213.1.1", "10.0.0.1", "::2", "shop.example.test", ""])
def test_nobody_outside_the_lab_is_asked(address: str) -> None:
    with pytest.raises(OpsError, match=r"10\.213\.0\.0/24"):
        Target(HOST, address, "")


@pytest.mark.parametrize("address", ["10.213.0.12", "127.0.0.1", "::1"])
def test_the_lab_and_this_machine_may_be_asked(address: str) -> None:
    assert Target(HOST, address, "").address == address


def test_the_command_tells_figures_and_fails_with_them(
    shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    authority = tmp_path / "ca" / "ca.pem"
    words = ["--host", HOST, "--address", "127.0.0.1", "--port", str(shop.server_address[1]), "--ca", str(authority)]
    words += ["--rate", "50", "--seconds", "0.3", "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["failed"] == 0
    assert told["timeline"][0]["release"] == "sha-aaaaaaa"
    shop.status = 500
    assert main(words) == 1
    assert json.loads(capsys.readouterr().out)["problems"].keys() == {"HTTP 500"}


def test_the_command_refuses_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ca.pem").write_text("")
    assert main(["--host", HOST, "--address", "93.184.215.14", "--ca", str(tmp_path / "ca.pem")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_visitor_needs_an_answer_and_a_trusted_name(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bin.story.visits.PORT", shop.server_address[1])
    seen = visit(HOST, "127.0.0.1", shop.authority)
    assert (seen.status, seen.release) == (200, "sha-aaaaaaa")
    refused = visit("other.example.test", "127.0.0.1", shop.authority)
    assert refused.status == 0
    assert "certificate" in refused.problem
