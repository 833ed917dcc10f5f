"""What a storage may answer, over real HTTP: a small one that does as it is told. A whole one is in tests/lab."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from plugins.module_utils.gateway.ledger_storage import LedgerStorage
from plugins.module_utils.model.environment import Aws, Environment, LedgerPlace, ObjectStorage, Registry
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.ledger import LedgerAway
from plugins.plugin_utils.ledger import Ledger
from tests.unit.ledger.ledger_parts import chain, signed


def _page(kept: dict[str, bytes]) -> bytes:
    held = "".join(f"<Contents><Key>{key}</Key><ETag>{_mark(body)}</ETag></Contents>" for key, body in kept.items())
    return f"<ListBucketResult><IsTruncated>false</IsTruncated>{held}</ListBucketResult>".encode()


def _mark(body: bytes) -> str:
    return f'"{hash(body):x}"'


def _refusal(code: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>as it was told</Message></Error>".encode()


_LOCK = "x-amz-object-lock-mode"


class Bucket(ThreadingHTTPServer):
    """Objects by their key.

    ``answers`` are codes with which the next puts are refused, ``drops`` how many next puts are kept and never
    answered, ``careless`` whether If-None-Match means nothing to it. ``locks`` are the retentions of what was kept.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.kept: dict[str, bytes] = {}
        self.answers: list[tuple[int, str]] = []
        self.drops = 0
        self.locks: list[tuple[str | None, str | None]] = []
        self.careless = False


class Answers(BaseHTTPRequestHandler):
    server: Bucket
    protocol_version = "HTTP/1.1"  # which answers Expect: 100-continue

    def do_PUT(self) -> None:
        key = self.path.removeprefix("/led/")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.answers:
            status, code = self.server.answers.pop(0)
            self._answer(status, _refusal(code))
        elif key in self.server.kept and self.headers.get("If-None-Match") == "*" and not self.server.careless:
            self._answer(412, _refusal("PreconditionFailed"))
        else:
            self.server.kept[key] = body
            self.server.locks.append((self.headers.get(_LOCK), self.headers.get(f"{_LOCK[:-4]}retain-until-date")))
            if self.server.drops:
                self.server.drops -= 1
                self.close_connection = True
                return
            self._answer(200, b"", {"ETag": _mark(body)})

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        key = path.removeprefix("/led/")
        if "list-type" in query:
            self._answer(200, _page(self.server.kept))
        elif query.startswith(("versioning", "object-lock")):
            self._answer(501, _refusal("NotImplemented"))
        elif key in self.server.kept:
            self._answer(200, self.server.kept[key], {"ETag": _mark(self.server.kept[key])})
        else:
            self._answer(404, _refusal("NoSuchKey"))

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the test says what went wrong."""


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with Bucket() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def place(bucket: Bucket) -> LedgerPlace:
    return LedgerPlace("led", endpoint=f"http://127.0.0.1:{bucket.server_address[1]}")


@pytest.fixture
def aws(tmp_path: Path) -> Aws:
    path = tmp_path / "credentials"
    path.write_text("[test]\naws_access_key_id = a\naws_secret_access_key = b\n")
    return Aws(profile="test", credentials_file=str(path))


@pytest.fixture
def storage(place: LedgerPlace, aws: Aws) -> LedgerStorage:
    return LedgerStorage(place, aws)


@pytest.fixture
def ledger(place: LedgerPlace, aws: Aws, tmp_path: Path) -> Ledger:
    return Ledger(Environment("production", Registry(), aws, ObjectStorage(), place), copies=tmp_path)


def test_an_entry_stands_under_its_number_and_is_read_back(storage: LedgerStorage, bucket: Bucket) -> None:
    mark = storage.put(7, "é")
    assert bucket.kept == {"entries/000000000007.json": "é".encode()}
    assert storage.listing().marks == {7: mark}
    assert storage.read([7, 8]) == {7: ("é", mark)}, "what is gone meanwhile is left out"
    assert storage.put(7, "other") == ""


def test_an_entry_is_locked_for_as_long_as_is_declared(place: LedgerPlace, aws: Aws, bucket: Bucket) -> None:
    LedgerStorage(place, aws).put(2, "text")
    LedgerStorage(replace(place, object_lock_days=30, object_lock="compliance"), aws).put(3, "text")
    (none, _), (mode, until) = bucket.locks
    assert (none, mode) == (None, "COMPLIANCE")
    days = datetime.fromisoformat(str(until)) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < days <= timedelta(days=30)


def test_a_conflict_is_a_number_that_somebody_else_has(storage: LedgerStorage, bucket: Bucket) -> None:
    bucket.answers = [(409, "ConditionalRequestConflict")]
    assert storage.put(7, "text") == ""
    assert storage.put(7, "text") != ""


def test_a_conflict_is_got_over(ledger: Ledger, bucket: Bucket) -> None:
    bucket.answers = [(409, "ConditionalRequestConflict")] * 3
    assert ledger.append(signed(1)).number == 1
    assert len(bucket.kept) == 1


def test_an_answer_that_was_lost_leaves_no_second_entry(ledger: Ledger, bucket: Bucket) -> None:
    ledger.append(signed(1))
    bucket.drops = 1
    assert ledger.append(signed(2)).number == 2
    assert ledger.append(signed(3)).number == 3
    assert len(bucket.kept) == 3
    assert [entry.number for entry in ledger.entries()] == [1, 2, 3]


def test_a_storage_that_takes_no_notice_of_conditions_is_refused_at_the_first_entry(
    ledger: Ledger, bucket: Bucket
) -> None:
    bucket.careless = True
    with pytest.raises(OpsError, match="this storage lets an entry be overwritten") as caught:
        ledger.append(signed(1))
    assert not isinstance(caught.value, LedgerAway)
    assert "such as S3" in caught.value.do


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (403, "AccessDenied", "allow this role to list"),
        (403, "ExpiredToken", "log in anew"),
        (404, "NoSuchBucket", "correct ops_environment.ledger.bucket"),
        (400, "InvalidRequest", "set ops_environment.ledger.object_lock_days to 0"),
    ],
)
def test_a_refusal_says_what_to_do(ledger: Ledger, bucket: Bucket, status: int, code: str, says: str) -> None:
    bucket.answers = [(status, code)]
    with pytest.raises(LedgerAway, match="the ledger's storage refuses") as caught:
        ledger.append(signed(1))
    assert says in caught.value.do
    assert caught.value.where.startswith("ledger led at http://127.0.0.1:")


def test_a_storage_that_is_busy_is_asked_once_more_and_then_is_away(ledger: Ledger, bucket: Bucket) -> None:
    bucket.answers = [(503, "SlowDown")]
    assert ledger.append(signed(1)).number == 1
    bucket.answers = [(503, "SlowDown")] * 2
    with pytest.raises(LedgerAway, match="does not answer as it should"):
        ledger.append(signed(2))
    assert bucket.answers == []
    assert ledger.append(signed(2)).number == 2


def test_what_a_storage_does_not_offer_is_said_and_hinders_nobody(storage: LedgerStorage) -> None:
    assert storage.versions() == {}
    lacks = storage.loosened()
    assert [one.split(":")[0] for one in lacks] == ["the bucket keeps no versions", "the bucket has no Object Lock"]


def test_bytes_that_are_no_text_are_no_entry(ledger: Ledger, bucket: Bucket) -> None:
    texts = chain(2)
    bucket.kept = {f"entries/{number:012}.json": text.encode() for number, text in texts.items()}
    bucket.kept["entries/000000000002.json"] = b"\xff\xfe"
    assert [(one.number, one.kind) for one in ledger.chain().findings] == [(2, "edited")]
