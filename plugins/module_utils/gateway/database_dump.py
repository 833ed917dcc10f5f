"""Dumps of a database as streams: the command that makes one, reading one to its end, loading one. No file is made."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from ..model.errors import OpsError
from .database_server import Server

_CHUNK = 1 << 20
_LOCK_TIMEOUT_MS = 30_000

# Runs a dump, passes it on, and says at its end what the bytes were. It runs as restic's child, so that restic knows
# whether the dump succeeded; it is given as text, since a module travels to a host as an archive, not as files.
_HASHING = """
import hashlib, json, subprocess, sys
digest, size = hashlib.sha256(), 0
with subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE) as dump:
    while chunk := dump.stdout.read(1 << 20):
        digest.update(chunk)
        size += len(chunk)
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
if dump.returncode == 0:
    print("dumped " + json.dumps({"sha256": digest.hexdigest(), "bytes": size}), file=sys.stderr)
sys.exit(dump.returncode)
"""

# "schema"."name" of a COPY, each part plain or in quotes with doubled quotes inside.
_COPY = re.compile(rb'^COPY ("(?:[^"]|"")+"|[^". (]+)\.("(?:[^"]|"")+"|[^". (]+) .*FROM stdin;$')
_UNKNOWN_BEFORE_17 = b"SET transaction_timeout = 0;\n"


@dataclass(frozen=True)
class DumpRead:
    """A dump that was read to its end."""

    bytes: int
    sha256: str
    rows: dict[str, int]


def dump_command(database: str, snapshot: str) -> tuple[str, ...]:
    """The command that prints a dump of one moment of a database.

    Uncompressed, because restic compresses, and finds what is the same as last time only in what is not.
    """
    dump = ("pg_dump", "--format=custom", "--compress=none", f"--snapshot={snapshot}")
    limits = (f"--lock-wait-timeout={_LOCK_TIMEOUT_MS}", "--no-password", f"--dbname={_quoted(database)}")
    return (sys.executable, "-I", "-c", _HASHING, *dump, *limits)


def _quoted(database: str) -> str:
    # A name with = in it would be taken for a connection string.
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def dumped(notes: Sequence[str]) -> tuple[str, int]:
    """Hash and size that the dump had at its source, from what its process said."""
    for line in notes:
        _, found, told = line.partition("dumped ")
        if found:
            entry = json.loads(told)
            return str(entry["sha256"]), int(entry["bytes"])
    raise OpsError("the dump did not say how it ended", where="pg_dump", do="run the backup again")


def read_dump(stream: IO[bytes]) -> DumpRead:
    """Decode a dump to its end and count the rows of every table in it.

    :raises OpsError: when it is cut off or damaged.
    """
    with _Process(["pg_restore", "--data-only", "--file=-"], {}) as decoder:
        hashing = _Hashing(stream, decoder)
        rows = _count_rows(decoder.stdout)
        hashing.finish()
        decoder.confirm("the dump cannot be decoded")
    return DumpRead(hashing.bytes, hashing.sha256, rows)


def _count_rows(lines: IO[bytes]) -> dict[str, int]:
    rows: dict[str, int] = {}
    table = ""
    for line in lines:
        if table:
            if line == b"\\.\n":
                table = ""
            else:
                rows[table] += 1
        elif line.startswith(b"COPY ") and (match := _COPY.match(line.rstrip(b"\n"))):
            table = ".".join(_unquoted(part.decode()) for part in match.groups())
            rows[table] = 0
    return rows


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def load_dump(stream: IO[bytes], server: Server, database: str, *, owners: bool, version: int) -> DumpRead:
    """Load a dump into an empty database, in one transaction.

    It goes through psql because pg_restore 17 sets a parameter that servers before 17 refuse: that one line is left out
    for them. ``version`` is the major version of the server.

    :raises OpsError: at the first statement that fails, or when the dump is cut off or damaged.
    """
    decode = ["pg_restore", "--exit-on-error", "--file=-"] + ([] if owners else ["--no-owner", "--no-privileges"])
    # Terse, because a DETAIL quotes the rows of people.
    load = ["psql", "--no-psqlrc", "--quiet", "--single-transaction", "--no-password", f"--dbname={_quoted(database)}"]
    load += ["--set=ON_ERROR_STOP=1", "--set=VERBOSITY=terse", "--output=/dev/null"]
    with _Process(decode, {}) as decoder, _Process(load, server.environment()) as loader:
        hashing = _Hashing(stream, decoder)
        _pass_on(decoder.stdout, loader, without=_UNKNOWN_BEFORE_17 if version < 17 else b"")
        hashing.finish()
        loader.confirm(f"the dump cannot be loaded into {database}")
        decoder.confirm("the dump cannot be decoded")
    return DumpRead(hashing.bytes, hashing.sha256, {})


def _pass_on(script: IO[bytes], loader: _Process, without: bytes) -> None:
    """Copy a script to psql, without one line of its header."""
    header = b""
    while without and without not in header and len(header) < 4096 and (line := script.readline()):
        header += line
    loader.write(header.replace(without, b"") if without else b"")
    while chunk := script.read(_CHUNK):
        if not loader.write(chunk):
            break
    # A decoder nobody reads from would wait for ever.
    while script.read(_CHUNK):
        pass
    loader.close_input()


class _Hashing:
    """Copies a stream into a process in the background, hashing it, to the end of the stream in any case."""

    def __init__(self, stream: IO[bytes], process: _Process) -> None:
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._copy, args=(stream, process), daemon=True)
        self._thread.start()

    def _copy(self, stream: IO[bytes], process: _Process) -> None:
        try:
            while chunk := stream.read(_CHUNK):
                self._digest.update(chunk)
                self.bytes += len(chunk)
                process.write(chunk)
        except (OSError, ValueError) as error:
            self._error = error
        finally:
            process.close_input()

    def finish(self) -> None:
        """Wait until the stream is at its end."""
        self._thread.join()
        if self._error:
            raise OpsError(f"the stream of the dump broke: {self._error}", where="restic dump", do="run this again")

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class _Process:
    """A child process with both ends as pipes, whose complaints go to a file that is already deleted."""

    def __init__(self, command: Sequence[str], variables: dict[str, str]) -> None:
        self._name = command[0]
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", **variables},
            )
        except FileNotFoundError as error:
            self._complaints.close()
            raise OpsError(
                f"{command[0]} is not installed", where="this host", do="run provision.yml for it"
            ) from error

    @property
    def stdout(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def write(self, data: bytes) -> bool:
        """Give it data; False when it no longer reads, of which its exit code will say why."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
        except (BrokenPipeError, ValueError):
            return False
        return True

    def close_input(self) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            return

    def confirm(self, what: str) -> None:
        """:raises OpsError: with its own words, when it failed."""
        if self._process.wait() == 0:
            return
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        reason = next((line for line in lines if "error" in line.lower()), lines[0] if lines else "it said nothing")
        raise OpsError(f"{what}: {_told(reason)}", where=self._name, do=_next_action(reason))

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._complaints.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with _quietly():
                    stream.close()


@contextmanager
def _quietly() -> Iterator[None]:
    """Closing a pipe flushes what nobody will read."""
    try:
        yield
    except BrokenPipeError:
        return


def _told(line: str) -> str:
    return re.sub(r"^(?:psql:<stdin>:\d+: |pg_restore: error: |psql: error: )+", "", line)


_NEXT: tuple[tuple[str, str], ...] = (
    ("No space left on device", "free space on the database's server, then run this again"),
    ("permission denied", "let an administrator do this restore, or grant the role what it lacks"),
    ("end of file", "the dump is cut off: choose another backup"),
    ("could not connect", "run diagnose_database.yml for this stack"),
    ("role ", "create the role at the target first"),
)


def _next_action(reason: str) -> str:
    return next((do for mark, do in _NEXT if mark in reason), "choose another backup, or see the database's log")
