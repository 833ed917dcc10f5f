"""The walk against servers that misbehave, on loopback: what a real PostgreSQL would never do."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from plugins.module_utils.gateway.postgres import Surroundings, walk
from plugins.module_utils.model.connection import Connection
from plugins.module_utils.plan.diagnosis import Context, Diagnosis, diagnose

HERE = Surroundings(0, "", "")
PASSWORD = "pencil-pencil"
Script = Callable[[socket.socket], None]


@contextlib.contextmanager
def serving(script: Script) -> Iterator[int]:
    """A server that plays a script with every visitor; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    visitor, _ = listener.accept()
                    with visitor:
                        visitor.settimeout(3)
                        script(visitor)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            over.set()
            with contextlib.suppress(OSError):
                socket.create_connection(listener.getsockname(), timeout=1).close()
            thread.join(5)


def judged(script: Script, *, tls: str = "disable", clear: bool = True) -> Diagnosis:
    with serving(script) as port:
        connection = Connection("127.0.0.1", port, "odoo", ("acme",), PASSWORD, tls, trusted_path=clear)
        seen = walk(connection, HERE)
    # That loopback is no place for a database is another matter.
    context = Context("odoo18", "unit", "web", "app")
    return diagnose([one for one in seen if one.layer != "dns"], context, connection)


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def received(visitor: socket.socket) -> bytes:
    return visitor.recv(4096)


def test_a_web_server_is_not_postgresql() -> None:
    def script(visitor: socket.socket) -> None:
        received(visitor)
        visitor.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    assert judged(script, tls="require").code == "not_postgresql"
    assert judged(script).code == "not_postgresql"


def test_a_proxy_without_a_server_closes() -> None:
    def script(visitor: socket.socket) -> None:
        received(visitor)

    assert judged(script, tls="require").code == "closed"


def test_a_reset_is_a_closing_too() -> None:
    def script(visitor: socket.socket) -> None:
        received(visitor)
        visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert judged(script, tls="require").code == "closed"


def test_a_message_that_never_ends_is_refused() -> None:
    def script(visitor: socket.socket) -> None:
        received(visitor)
        visitor.sendall(b"R" + struct.pack("!I", 2**31 - 1))

    assert judged(script).code == "not_postgresql"


def test_a_handshake_that_is_nonsense() -> None:
    def script(visitor: socket.socket) -> None:
        received(visitor)
        visitor.sendall(b"S")
        received(visitor)
        visitor.sendall(b"this is no TLS record at all")

    diagnosis = judged(script, tls="require")
    assert (diagnosis.verdict, diagnosis.code) == ("tls", "tls_failed")


def test_an_unknown_method_is_named() -> None:
    def script(visitor: socket.socket) -> None:
        received(visitor)
        visitor.sendall(message(b"R", struct.pack("!I", 7)))

    diagnosis = judged(script)
    assert (diagnosis.verdict, diagnosis.code) == ("authentication", "method_unsupported")


def test_an_experiment_never_sends_the_password_in_the_clear() -> None:
    sent: list[bytes] = []

    def script(visitor: socket.socket) -> None:
        sent.append(received(visitor))
        visitor.sendall(message(b"R", struct.pack("!I", 3)))
        sent.append(received(visitor))

    assert judged(script, clear=False).code == "clear_password"
    assert PASSWORD.encode() not in b"".join(sent)
    judged(script)
    assert PASSWORD.encode() in b"".join(sent), "the application itself would have sent it"


def scram(password: str, *, honest: bool) -> Script:
    """A server's side of SCRAM-SHA-256; a dishonest one does not know the password."""

    def script(visitor: socket.socket) -> None:
        received(visitor)
        visitor.sendall(message(b"R", struct.pack("!I", 10) + b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"))
        opening = received(visitor).rpartition(b"n,,")[2].decode()
        nonce = opening.partition("r=")[2] + "server"
        salt = b"salt-salt"
        challenge = f"r={nonce},s={base64.b64encode(salt).decode()},i=4096"
        visitor.sendall(message(b"R", struct.pack("!I", 11) + challenge.encode()))
        closing = received(visitor)[5:].decode().rpartition(",p=")[0]
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 4096)
        key = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
        signature = hmac.new(key, f"{opening},{challenge},{closing}".encode(), hashlib.sha256).digest()
        proof = signature if honest else bytes(32)
        visitor.sendall(message(b"R", struct.pack("!I", 12) + b"v=" + base64.b64encode(proof)))
        visitor.sendall(message(b"R", struct.pack("!I", 0)))
        visitor.sendall(message(b"E", b"C57P03\0Mthe database system is starting up\0RBackendMain\0\0"))
        received(visitor)

    return script


def test_a_server_that_cannot_prove_itself_is_not_trusted() -> None:
    assert judged(scram(PASSWORD, honest=False)).code == "server_unproven"


def test_an_honest_server_is_believed_and_its_refusal_kept() -> None:
    diagnosis = judged(scram(PASSWORD, honest=True))
    assert (diagnosis.verdict, diagnosis.code) == ("session", "not_ready")
    assert "the database system is starting up" in diagnosis.cause


@pytest.mark.parametrize("tls", ["require", "verify-full"])
def test_a_refusal_in_place_of_an_answer_about_tls(tls: str) -> None:
    """A server without a free slot may refuse before it speaks about TLS."""

    def script(visitor: socket.socket) -> None:
        received(visitor)
        visitor.sendall(message(b"E", b"C53300\0Msorry, too many clients already\0RBackendMain\0\0"))
        received(visitor)

    assert judged(script, tls=tls).code == "slots_exhausted"
