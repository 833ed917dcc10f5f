"""Real parts for tests of the edge, all on loopback: Traefik as a process, backends that answer with their release."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from plugins.module_utils.gateway.edge import EdgeApi, EdgeFiles, config_errors
from plugins.module_utils.plan.edge import BASE, compile_base

HOST = "shop.example.test"


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave in one segment, so that a test measures the edge and not delayed acknowledgements.
    wbufsize = -1
    server: Backend

    def do_GET(self) -> None:
        if self.headers.get("Upgrade") == "websocket":
            return self._web_socket()
        query = parse_qs(urlsplit(self.path).query)
        if "seconds" in query:
            self.server.slow_started.set()
            time.sleep(float(query["seconds"][0]))
        body = f"release {self.server.release} path {self.path}\n".encode()
        self.send_response(int(query.get("status", ["200"])[0]))
        self.send_header("X-Release", self.server.release)
        self.send_header("Server-Seen-Host", self.headers.get("Host", ""))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def do_POST(self) -> None:
        received = len(self.rfile.read(int(self.headers.get("Content-Length", "0"))))
        body = str(received).encode()
        self.send_response(200)
        self.send_header("X-Release", self.server.release)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _web_socket(self) -> None:
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.end_headers()
        self.wfile.flush()
        while line := self.rfile.readline():
            self.wfile.write(self.server.release.encode() + b" " + line)
            self.wfile.flush()
        self.close_connection = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Tests read answers, not logs."""


class Backend(ThreadingHTTPServer):
    """Answers every request with its release; ``?seconds=`` takes that long; an upgrade echoes lines until closed."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, release: str) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.release = release
        self.slow_started = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])


@contextmanager
def backend(release: str) -> Iterator[Backend]:
    """A backend that listens as long as the block lasts."""
    server = Backend(release)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Edge:
    """A running Traefik with the files it watches."""

    files: EdgeFiles
    api: EdgeApi
    secure_port: int
    internal_port: int
    ca_pem: str
    log: Path


@contextmanager
def traefik(folder: Path) -> Iterator[Edge]:
    """Traefik on free ports of loopback, with a certificate for HOST, gone when the block ends."""
    files = EdgeFiles(folder / "edge", owner=(folder.stat().st_uid))
    files.prepare()
    ca_pem = _certificate(folder)
    base = compile_base()
    keys = {"certFile": str(folder / "cert.pem"), "keyFile": str(folder / "key.pem")}
    base["tls"]["stores"] = {"default": {"defaultCertificate": keys}}
    files.place(BASE, base)
    secure, internal, admin = free_port(), free_port(), free_port()
    log = folder / "traefik.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(_command(files, secure, internal, admin), stdout=sink, stderr=subprocess.STDOUT)
    try:
        api = EdgeApi(f"http://127.0.0.1:{admin}", explain=lambda: [*files.broken(), *config_errors(log.read_text())])
        api.wait_live({}, 10)
        _wait_version(api)
        yield Edge(files, api, secure, internal, ca_pem, log)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _command(files: EdgeFiles, secure: int, internal: int, admin: int) -> list[str]:
    return [
        str(Path(sys.executable).parent / "traefik"),
        "--global.checknewversion=false",
        "--log.level=INFO",
        "--log.format=json",
        f"--entrypoints.websecure.address=127.0.0.1:{secure}",
        f"--entrypoints.internal.address=127.0.0.1:{internal}",
        f"--entrypoints.traefik.address=127.0.0.1:{admin}",
        "--api.insecure=true",
        "--api.dashboard=false",
        f"--providers.file.directory={files.dynamic}",
        "--providers.providersthrottleduration=100ms",
    ]


def _wait_version(api: EdgeApi) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            assert api.version()
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _certificate(folder: Path) -> str:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    command += ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)
    return (folder / "cert.pem").read_text()


@dataclass
class Load:
    """Requests in a loop through the edge, on kept connections, until stopped; what came back, by release."""

    port: int
    ca_pem: str
    workers: int = 4
    requests: int = 0
    failures: list[str] = field(default_factory=list)
    releases: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(number,)) for number in range(self.workers)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        context = ssl.create_default_context(cadata=self.ca_pem)
        connection: http.client.HTTPConnection | None = None
        while not self._stop.is_set():
            if connection is None:
                connection = _connection(self.port, context)
            try:
                # Every other worker sends bodies: those cannot be sent again by the edge when a backend is gone.
                body = b"x" * 2000 if number % 2 else None
                connection.request("POST" if body else "GET", "/", body=body, headers={"Host": HOST})
                answer = connection.getresponse()
                answer.read()
                self._note(answer.status, answer.headers.get("X-Release", ""))
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                connection = None
                self._note(0, repr(error))
        if connection:
            connection.close()

    def _note(self, status: int, release: str) -> None:
        with self._lock:
            self.requests += 1
            if status == 200:
                self.releases[release] = self.releases.get(release, 0) + 1
            else:
                self.failures.append(f"{status} {release}")


def _connection(port: int, context: ssl.SSLContext) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port)
    raw = socket.create_connection(("127.0.0.1", port), 10)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sock = context.wrap_socket(raw, server_hostname=HOST)
    return connection
