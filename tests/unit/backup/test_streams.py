"""What restic says in our words, rows counted in a dump, one hash over a tree, and where a bucket is."""

from __future__ import annotations

import http.server
import io
import json
import os
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from plugins.module_utils.gateway.database_dump import _count_rows, _pass_on, dump_command, dumped
from plugins.module_utils.gateway.object_storage import check_bucket
from plugins.module_utils.gateway.restic import Repository, _failure
from plugins.module_utils.gateway.stack_volume import digest_archive, digest_tree
from plugins.module_utils.model.errors import OpsError

REPOSITORY = Repository("https://s3", "backups", "odoo18", "ap-northeast-1", "", "k3y-of-the-backups", "AKIA", "s3cret")


CASES = json.loads(Path(__file__).with_name("restic_says.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["what"])[:40])
def test_failures_of_restic_in_one_sentence(case: dict[str, Any]) -> None:
    error = _failure(case["exit"], case["stderr"], REPOSITORY)
    assert case["what"] in error.what
    assert case["do"] in error.do
    assert "https://s3/backups/odoo18" in error.where


def test_no_secret_is_where_it_could_be_read() -> None:
    assert "k3y" not in repr(REPOSITORY)
    assert "s3cret" not in repr(REPOSITORY)
    assert REPOSITORY.environment()["RESTIC_PASSWORD"] == "k3y-of-the-backups"


def test_without_an_access_key_the_role_of_the_instance_serves() -> None:
    variables = Repository("https://s3", "b", "p", "r", password="x").environment()
    assert not [name for name in variables if name.startswith(("AWS_ACCESS", "AWS_SECRET"))]


# -- dumps -------------------------------------------------------------------------------------------------------------

SCRIPT = r"""--
SET statement_timeout = 0;
COPY public.plain (id, name) FROM stdin;
1	one
2	COPY public.fake (id) FROM stdin;
3	\\.
\.
COPY public.empty (id) FROM stdin;
\.
COPY "Shop"."Order ""2"" (x)" (id, "a b") FROM stdin;
1	顧客
\.
COPY public.nothing  FROM stdin;


\.
SELECT pg_catalog.setval('public.s', 1, true);
"""


def test_rows_are_counted_by_table() -> None:
    assert _count_rows(io.BytesIO(SCRIPT.encode())) == {
        "public.plain": 3,
        "public.empty": 0,
        'Shop.Order "2" (x)': 1,
        "public.nothing": 2,
    }


class Taking:
    """A process that takes a script."""

    def __init__(self) -> None:
        self.taken = b""

    def write(self, data: bytes) -> bool:
        self.taken += data
        return True

    def close_input(self) -> None:
        return


@pytest.mark.parametrize("size", [10, 5 << 20])
def test_a_line_that_old_servers_do_not_know_is_left_out_of_the_header_only(size: int) -> None:
    line = b"SET transaction_timeout = 0;\n"
    header, body = b"--\nSET statement_timeout = 0;\n", b"COPY x\n" + line + b"y" * size
    loader = Taking()
    _pass_on(io.BytesIO(header + line + body), loader, without=line)  # type: ignore[arg-type]
    assert loader.taken == header + body
    loader = Taking()
    _pass_on(io.BytesIO(header + line + body), loader, without=b"")  # type: ignore[arg-type]
    assert loader.taken == header + line + body


def test_a_script_without_that_line_passes_whole() -> None:
    script = b"a\n" * 10_000
    loader = Taking()
    _pass_on(io.BytesIO(script), loader, without=b"SET transaction_timeout = 0;\n")  # type: ignore[arg-type]
    assert loader.taken == script


def test_a_name_is_never_taken_for_a_connection_string() -> None:
    assert dump_command("host=evil user='x'", "0-1")[-1] == r"--dbname=dbname='host=evil user=\'x\''"


def test_the_hash_at_the_source_is_read_from_what_the_dump_said() -> None:
    assert dumped(["noise", 'subprocess python3: dumped {"sha256": "ab", "bytes": 7}']) == ("ab", 7)
    with pytest.raises(OpsError, match="did not say how it ended"):
        dumped(["noise"])


# -- trees -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "ab").mkdir(parents=True)
    (root / "ab" / "添付.pdf").write_bytes(os.urandom(3 << 20))
    (root / "empty").write_text("")
    (root / "ab" / "link").symlink_to("../empty")
    (root / "ab").chmod(0o750)
    return root


def packed(root: Path) -> io.BytesIO:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path in sorted(root.rglob("*")):
            archive.add(path, str(path.relative_to(root)), recursive=False)
    stream.seek(0)
    return stream


def test_a_tree_and_its_archive_have_the_same_digest(tree: Path) -> None:
    found = digest_tree(tree)
    assert found == digest_archive(packed(tree))
    assert (found.files, found.bytes) == (2, 3 << 20)


def test_any_change_changes_the_digest(tree: Path) -> None:
    seen = {digest_tree(tree).sha256}
    changes: tuple[Callable[[], object], ...] = (
        lambda: (tree / "empty").write_text("x"),
        lambda: (tree / "empty").rename(tree / "other"),
        lambda: (tree / "ab").chmod(0o700),
        (tree / "ab" / "link").unlink,
        (tree / "more").mkdir,
    )
    for number, change in enumerate(changes, start=2):
        change()
        seen.add(digest_tree(tree).sha256)
        assert len(seen) == number


def test_an_archive_that_is_cut_off_is_refused(tree: Path) -> None:
    whole = packed(tree).getvalue()
    with pytest.raises(OpsError, match="no whole archive"):
        digest_archive(io.BytesIO(whole[: len(whole) // 2]))


# -- storage -----------------------------------------------------------------------------------------------------------


class Storage(http.server.BaseHTTPRequestHandler):
    """Answers as S3 does to somebody without credentials."""

    def do_HEAD(self) -> None:
        self.send_response({"/mine": 403, "/elsewhere": 301}.get(self.path, 404))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def endpoint() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Storage) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("bucket", ["mine", "elsewhere"])
def test_a_bucket_is_there_though_we_may_not_look_into_it(endpoint: str, bucket: str) -> None:
    check_bucket(endpoint, bucket)


def test_a_bucket_that_is_missing_is_never_made(endpoint: str) -> None:
    with pytest.raises(OpsError, match="there is no bucket 'typo'"):
        check_bucket(endpoint, "typo")


@pytest.mark.parametrize("address", ["s3.example", "ftp://x", ""])
def test_an_endpoint_that_is_no_address(address: str) -> None:
    with pytest.raises(OpsError, match="is not the address of an object storage"):
        check_bucket(address, "mine")


def test_storage_that_does_not_answer(endpoint: str) -> None:
    port = int(endpoint.rpartition(":")[2])
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Storage) as server:
        port = server.server_port
    with pytest.raises(OpsError, match="the object storage cannot be reached"):
        check_bucket(f"http://127.0.0.1:{port}", "mine")
