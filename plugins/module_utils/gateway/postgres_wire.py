"""As much of PostgreSQL's protocol as a diagnosis needs: TLS, log-in, one query after another.

libpq tells a failed log-in as one translated text. Here each stage is a call of its own, and a refusal keeps the
SQLSTATE and the server's routine, which do not depend on its language or version.
https://www.postgresql.org/docs/17/protocol-flow.html, https://www.rfc-editor.org/rfc/rfc7677
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import socket
import ssl
import struct
import time
import unicodedata

_SSL_REQUEST = 80877103
_PROTOCOL_3 = 196608
_LONGEST_MESSAGE = 1 << 20
_SCRAM = "SCRAM-SHA-256"
_OK, _CLEARTEXT, _MD5, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 3, 5, 10, 11, 12


class ServerRefusal(Exception):
    """The server answered with an error; fields by their one-letter keys (C is the SQLSTATE, R the routine)."""

    def __init__(self, fields: dict[str, str]) -> None:
        self.fields = fields
        super().__init__(fields.get("M", "the server refused without a word"))


class ProtocolSurprise(Exception):
    """What answers is not PostgreSQL, or not one that may be trusted. ``code`` is a word of plan.causes."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


class Wire:
    """One connection. Every call ends by ``deadline`` (of time.monotonic) at the latest, with TimeoutError."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._socket = connected
        self._deadline = deadline
        self._buffer = b""
        self.encrypted = False
        self.parameters: dict[str, str] = {}

    def close(self) -> None:
        """Let go of the connection; the server sees it end properly when it can."""
        try:
            self._send(b"X", b"")
        except OSError:
            pass  # It is already gone, which is what was wanted.
        finally:
            self._socket.close()

    # -- stages ----------------------------------------------------------------------------------------------------

    def ask_for_tls(self) -> bool:
        """Whether the server is willing to speak TLS."""
        self._send_raw(struct.pack("!II", 8, _SSL_REQUEST))
        answer = self._receive(1)
        if answer in (b"S", b"N"):
            return answer == b"S"
        if answer == b"E":
            self._buffer = answer + self._buffer
            self._message()
        raise ProtocolSurprise("not_postgresql", f"it answered {answer!r} to the first question")

    def start_tls(self, context: ssl.SSLContext, name: str) -> ssl.SSLSocket:
        """Shake hands. Raises ssl.SSLError, with its verify_code when the certificate is at fault."""
        self._arm()
        secured = context.wrap_socket(self._socket, server_hostname=name)
        self._socket = secured
        self.encrypted = True
        return secured

    def log_in(self, user: str, database: str, password: str, *, clear_allowed: bool) -> str:
        """Authenticate; the method the server chose. Raises ServerRefusal or ProtocolSurprise.

        ``clear_allowed`` says whether the server may be given the password itself, as the application would do.
        """
        settings = {
            "user": user,
            "database": database,
            "application_name": "seisei database diagnosis",
            "client_encoding": "UTF8",
        }
        body = b"".join(f"{key}\0{value}\0".encode() for key, value in settings.items()) + b"\0"
        self._send_raw(struct.pack("!II", len(body) + 8, _PROTOCOL_3) + body)
        method = "none asked (trust or certificate)"
        while True:
            kind, content = self._message()
            if kind != b"R":
                raise ProtocolSurprise("not_postgresql", f"it sent {kind!r} where it should authenticate")
            (request,) = struct.unpack_from("!I", content)
            if request == _OK:
                return method
            method = self._answer_request(request, content[4:], user, password, clear_allowed)

    def await_ready(self) -> None:
        """Wait until the session is open. Raises ServerRefusal when the database does not take us."""
        while True:
            kind, content = self._message()
            if kind == b"S":
                key, value = content.rstrip(b"\0").split(b"\0", 1) if content.count(b"\0") > 1 else (content, b"")
                self.parameters[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
            elif kind == b"Z":
                return

    def query(self, sql: str) -> list[dict[str, str | None]]:
        """Rows of the last statement that has some, all values as text."""
        self._send(b"Q", sql.encode() + b"\0")
        columns: list[str] = []
        rows: list[dict[str, str | None]] = []
        refusal: ServerRefusal | None = None
        while True:
            try:
                kind, content = self._message()
            except ServerRefusal as error:
                refusal = error
                continue
            if kind == b"T":
                columns, rows = _columns(content), []
            elif kind == b"D":
                rows.append(dict(zip(columns, _values(content), strict=True)))
            elif kind == b"Z":
                break
        if refusal:
            raise refusal
        return rows

    # -- authentication --------------------------------------------------------------------------------------------

    def _answer_request(self, request: int, content: bytes, user: str, password: str, clear_allowed: bool) -> str:
        if request == _CLEARTEXT:
            if not clear_allowed:
                raise ProtocolSurprise("clear_password", "it asked for the password in the clear")
            self._send(b"p", password.encode() + b"\0")
            return "password"
        if request == _MD5:
            inner = hashlib.md5(password.encode() + user.encode(), usedforsecurity=False).hexdigest()
            outer = hashlib.md5(inner.encode() + content[:4], usedforsecurity=False).hexdigest()
            self._send(b"p", b"md5" + outer.encode() + b"\0")
            return "md5"
        mechanisms = content.rstrip(b"\0").decode("ascii", "replace").split("\0")
        if request == _SASL and _SCRAM in mechanisms:
            self._scram(password)
            return "scram-sha-256"
        offered = ", ".join(mechanisms) if request == _SASL else f"number {request}"
        raise ProtocolSurprise("method_unsupported", f"it asks for a method we do not speak ({offered})")

    def _scram(self, password: str) -> None:
        # Channel binding is left out ("n"): whom we talk to has been settled by the TLS stage before.
        first = f"n=,r={base64.b64encode(secrets.token_bytes(18)).decode()}"
        opening = b"n,," + first.encode()
        self._send(b"p", _SCRAM.encode() + b"\0" + struct.pack("!I", len(opening)) + opening)
        challenge = self._sasl(_SASL_CONTINUE)
        told = dict(part.split("=", 1) for part in challenge.split(",") if "=" in part)
        if not told.get("r", "").startswith(first[5:]):
            raise ProtocolSurprise("server_unproven", "its answer was not made for our question")
        salted = hashlib.pbkdf2_hmac(
            "sha256", _prepared(password), base64.b64decode(told["s"]), min(int(told["i"]), 1_000_000)
        )
        key = _mac(salted, b"Client Key")
        closing = f"c=biws,r={told['r']}"
        signed = f"{first},{challenge},{closing}".encode()
        proof = bytes(a ^ b for a, b in zip(key, _mac(hashlib.sha256(key).digest(), signed), strict=True))
        self._send(b"p", f"{closing},p={base64.b64encode(proof).decode()}".encode())
        signature = base64.b64encode(_mac(_mac(salted, b"Server Key"), signed)).decode()
        if self._sasl(_SASL_FINAL) != f"v={signature}":
            raise ProtocolSurprise("server_unproven", "it does not know the password either")

    def _sasl(self, expected: int) -> str:
        kind, content = self._message()
        if kind != b"R" or struct.unpack_from("!I", content)[0] != expected:
            raise ProtocolSurprise("not_postgresql", "it broke off the exchange of proofs")
        return content[4:].decode()

    # -- messages --------------------------------------------------------------------------------------------------

    def _message(self) -> tuple[bytes, bytes]:
        """The next message that is no notice. Raises ServerRefusal for an error."""
        while True:
            head = self._receive(5)
            (length,) = struct.unpack_from("!I", head, 1)
            if not 4 <= length <= _LONGEST_MESSAGE:
                raise ProtocolSurprise("not_postgresql", f"it sent a message of {length} bytes")
            kind, content = head[:1], self._receive(length - 4)
            if kind == b"E":
                raise ServerRefusal(_fields(content))
            if kind != b"N":
                return kind, content

    def _send(self, kind: bytes, body: bytes) -> None:
        self._send_raw(kind + struct.pack("!I", len(body) + 4) + body)

    def _send_raw(self, data: bytes) -> None:
        self._arm()
        self._socket.sendall(data)

    def _receive(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._arm()
            part = self._socket.recv(65536 if self.encrypted else max(size - len(self._buffer), 1))
            if not part:
                raise ConnectionAbortedError("the other side closed the connection")
            self._buffer += part
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def _arm(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no time left")
        self._socket.settimeout(left)


def _mac(key: bytes, text: bytes) -> bytes:
    return hmac.new(key, text, hashlib.sha256).digest()


def _prepared(password: str) -> bytes:
    """SASLprep as far as it changes a printable password (RFC 4013): compatibility forms and odd blanks."""
    if password.isascii():
        return password.encode()
    blanks = "".join(" " if unicodedata.category(one) == "Zs" else one for one in password)
    return unicodedata.normalize("NFKC", blanks).encode()


def _fields(content: bytes) -> dict[str, str]:
    parts = (part.decode("utf-8", "replace") for part in content.split(b"\0") if part)
    return {part[0]: part[1:] for part in parts}


def _columns(content: bytes) -> list[str]:
    (count,) = struct.unpack_from("!H", content)
    place, names = 2, []
    for _ in range(count):
        end = content.index(b"\0", place)
        names.append(content[place:end].decode())
        place = end + 19
    return names


def _values(content: bytes) -> list[str | None]:
    (count,) = struct.unpack_from("!H", content)
    place = 2
    values: list[str | None] = []
    for _ in range(count):
        (length,) = struct.unpack_from("!i", content, place)
        place += 4
        values.append(None if length < 0 else content[place : place + length].decode("utf-8", "replace"))
        place += max(length, 0)
    return values
