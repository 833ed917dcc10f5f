"""The ledger in a real object storage: several writers, what Object Lock keeps, and a storage that is away."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from labkit.settings import LEDGER_BUCKET

from plugins.module_utils.gateway import ledger_storage
from plugins.module_utils.gateway.ledger_storage import LedgerStorage
from plugins.module_utils.model.environment import Aws
from plugins.module_utils.model.ledger import LedgerAway, entry_from
from plugins.module_utils.plan.ledger import EDITED, REMOVED, verify, with_versions
from tests.lab.ledger_parts import CREDENTIALS, OwnLedger
from tests.unit.ledger.ledger_parts import chain, edited, signed

pytestmark = pytest.mark.lab

WRITER = """
import sys
from pathlib import Path
from tests.lab.ledger_parts import OwnLedger
from tests.unit.ledger.ledger_parts import signed

prefix, folder, who, first, count = sys.argv[1:]
ledger = OwnLedger(Path(folder), prefix).ledger(who)
for number in range(int(first), int(first) + int(count)):
    ledger.append(signed(number))
"""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[OwnLedger]:
    ledger = OwnLedger(tmp_path)
    yield ledger
    ledger.erase()


def writing(own: OwnLedger, who: str, first: int, count: int) -> subprocess.Popen[bytes]:
    """Another controller, appending so many statements."""
    command = [sys.executable, "-c", WRITER, own.prefix, str(own.copies), who, str(first), str(count)]
    return subprocess.Popen(command, cwd=Path(__file__).parents[2], env={"PYTHONPATH": "molecule/lab:."})


def test_controllers_that_write_at_once_lose_nothing_and_share_no_number(own: OwnLedger) -> None:
    each = 50
    writers = [writing(own, f"writer{n}", 1 + n * each, each) for n in range(2)]
    assert [one.wait(timeout=180) for one in writers] == [0, 0]
    entries = own.ledger("reader").entries()
    assert [entry.number for entry in entries] == list(range(1, 2 * each + 1))
    said = sorted(int(entry.signed.statement.id, 16) for entry in entries)
    assert said == list(range(1, 2 * each + 1))
    assert {entry.writer for entry in entries} == {"writer0@laptop", "writer1@laptop"}
    assert all(len(kept) == 1 for kept in own.storage().versions().values()), "no number was written twice"


def test_controllers_that_merge_the_same_spool_at_once_write_it_once(own: OwnLedger) -> None:
    writers = [writing(own, f"writer{n}", 1, 20) for n in range(3)]
    assert [one.wait(timeout=180) for one in writers] == [0, 0, 0]
    assert [int(one.statement.id, 16) for one in own.ledger("reader").signed()] == list(range(1, 21))


def test_a_controller_killed_between_two_entries_leaves_a_ledger_that_goes_on(own: OwnLedger) -> None:
    own.ledger().append(signed(1000))
    writer = writing(own, "killed", 1, 500)
    deadline = time.monotonic() + 60
    while len(own.storage().listing().marks) < 4:
        assert time.monotonic() < deadline
        assert writer.poll() is None
    writer.kill()
    writer.wait()
    before = len(own.ledger().entries())
    assert 4 <= before < 500
    merged = own.ledger().merge([signed(number) for number in range(1, before + 3)])
    assert len(merged) == before + 2
    entries = own.ledger("reader").entries()
    assert sorted(int(one.signed.statement.id, 16) for one in entries) == [*range(1, before + 3), 1000]


def test_more_entries_than_one_page_of_a_listing(own: OwnLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_storage, "_PAGE", 7)
    texts = chain(50)
    storage = own.storage()
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda number: storage.put(number, texts[number]), texts))
    assert len(own.ledger().entries()) == 50
    assert len(storage.versions()) == 50
    monkeypatch.setattr(storage, "read", None)
    assert own.ledger().head().number == 50, "what is known is not read again"


def test_an_entry_cannot_be_deleted_nor_overwritten_in_place(own: OwnLedger) -> None:
    own.ledger().append(signed(1))
    (version,) = own.storage().versions()[1]
    with pytest.raises(ClientError, match="AccessDenied"):
        own.bucket.delete_object(Bucket=LEDGER_BUCKET, Key=own.key(1), VersionId=version.id)
    assert own.storage().put(1, "{}") == ""
    assert own.storage().loosened() == []


def findings(own: OwnLedger) -> list[tuple[int, str]]:
    storage = own.storage()
    texts = {number: text for number, (text, _) in storage.read(storage.listing().marks).items()}
    return [(one.number, one.kind) for one in with_versions(verify(texts).findings, storage.versions())]


def test_what_object_lock_lets_pass_is_told_by_the_versions(own: OwnLedger) -> None:
    own.ledger().merge([signed(number) for number in range(1, 5)])
    assert findings(own) == []
    newest = own.text(4)
    own.hide(4)
    assert findings(own) == [(4, REMOVED)], "the newest, which nobody would miss without a head"
    assert own.storage().put(4, edited(newest, writer="eve@x")), "S3 lets a hidden key be written again"
    assert findings(own) == [(4, EDITED)]
    own.overwrite(2, edited(own.text(2), writer="eve@x"))
    assert findings(own) == [(2, EDITED), (4, EDITED)]
    own.hide(1)
    assert findings(own) == [(1, REMOVED), (2, EDITED), (4, EDITED)]


def test_what_was_hidden_or_shadowed_is_brought_back_by_taking_the_newer_version_away(own: OwnLedger) -> None:
    own.ledger().merge([signed(1), signed(2)])
    own.hide(1)
    own.overwrite(2, "{}")
    for number, kept in own.storage().versions().items():
        for newer in kept[:-1]:
            own.bucket.delete_object(Bucket=LEDGER_BUCKET, Key=own.key(number), VersionId=newer.id)
    assert findings(own) == []
    assert own.ledger().signed() == [signed(1), signed(2)]


def test_names_that_are_no_entry_are_told(own: OwnLedger) -> None:
    own.ledger().append(signed(1))
    stray = f"{own.prefix}/entries/000000000001-b.json"
    own.bucket.put_object(Bucket=LEDGER_BUCKET, Key=stray, Body=b"{}")
    assert own.storage().listing().strays == (stray,)
    assert own.storage().listing().marks.keys() == {1}


AWAY = {
    "nobody listens": ({"endpoint": "https://10.213.0.4:1"}, CREDENTIALS, "does not answer as it should"),
    "nobody is there": ({"endpoint": "https://10.213.0.250:5000"}, CREDENTIALS, "does not answer as it should"),
    "it is not trusted": ({"ca_file": ""}, CREDENTIALS, "CERTIFICATE_VERIFY_FAILED"),
    "the bucket is not there": ({"bucket": "no-such-bucket"}, CREDENTIALS, "correct ops_environment.ledger.bucket"),
    "the profile is not there": ({}, Aws(profile="nobody"), r"profile \(nobody\)"),
}


@pytest.mark.parametrize("case", AWAY)
def test_a_storage_that_is_away_is_told_apart_and_soon(own: OwnLedger, case: str) -> None:
    changed, credentials, says = AWAY[case]
    storage = LedgerStorage(replace(own.place(), **changed), credentials)  # type: ignore[arg-type]
    began = time.monotonic()
    for act in (storage.listing, lambda: storage.put(1, "{}"), lambda: storage.read([1]), storage.versions):
        with pytest.raises(LedgerAway, match=says) as caught:
            act()
        assert caught.value.where.startswith("ledger ")
        assert caught.value.do
    assert time.monotonic() - began < 4 * 8


def test_entries_are_what_was_put(own: OwnLedger) -> None:
    entry = own.ledger().append(signed(1))
    assert entry_from(own.text(1)) == entry
