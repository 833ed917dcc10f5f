"""The repository of a stack's backups, through restic.

Secrets go in the environment of the child process and nowhere else. Every snapshot is found by its tags.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any

from ..model.errors import OpsError

NO_REPOSITORY = 10
_LOCKED = 11
_WRONG_PASSWORD = 12
_INCOMPLETE = 3

# restic tries again for fifteen minutes. By then somebody should have been told.
_PATIENCE_S = 45
_LOCK_PATIENCE = "2m"
_CACHE = "/var/cache/seisei/restic"
_KEPT_LINES = 40


@dataclass(frozen=True)
class Repository:
    """Where the backups of one stack are, and the keys to it. Without an access key the instance role serves."""

    endpoint: str
    bucket: str
    path: str
    region: str
    ca_file: str = ""
    password: str = field(default="", repr=False)
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The name restic knows it by."""
        return f"s3:{self.endpoint}/{self.bucket}/{self.path}"

    def environment(self) -> dict[str, str]:
        """The environment of a restic process."""
        variables = {
            "RESTIC_REPOSITORY": self.url,
            "RESTIC_PASSWORD": self.password,
            "AWS_DEFAULT_REGION": self.region,
            "HOME": "/root",
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
        }
        if self.access_key:
            variables |= {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        return variables


@dataclass(frozen=True)
class Stored:
    """A snapshot that was made. ``bytes`` were read, ``added`` had to be sent after deduplication and compression."""

    snapshot: str
    files: int
    bytes: int
    added: int
    notes: tuple[str, ...] = ()


class Restic:
    """One repository."""

    def __init__(self, repository: Repository, program: str = "restic") -> None:
        self._repository = repository
        self._program = program

    # -- the repository ------------------------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether there is a repository, and its key is ours."""
        code, _, lines = self._finish(self._start(["cat", "config"]))
        if code == NO_REPOSITORY:
            return False
        self._confirm(code, lines)
        return True

    def create(self) -> None:
        """Make an empty repository with our key."""
        self._run(["init"])

    def snapshots(self, tags: Sequence[str]) -> list[dict[str, Any]]:
        """What restic says of the snapshots that carry all of these tags, oldest first."""
        found = json.loads(self._run(["snapshots", "--tag", ",".join(tags)]))
        return [dict(entry) for entry in found]

    def forget(self, snapshots: Sequence[str]) -> None:
        """Take snapshots away, and the data that only they needed."""
        if snapshots:
            # Only locks of processes that are gone: a crash must not end the upkeep for ever.
            self._run(["unlock"])
            self._run(["forget", "--prune", *snapshots])

    def version(self) -> str:
        """``0.18.0``"""
        said = self._run(["version"])
        match = re.search(r"\d+\.\d+\.\d+", said)
        return match.group() if match else said.strip()

    # -- storing -------------------------------------------------------------------------------------------------------

    def store_output(
        self, command: Sequence[str], path: str, tags: Sequence[str], variables: Mapping[str, str]
    ) -> Stored:
        """Store what a command prints; when the command fails there is no snapshot."""
        arguments = ["--stdin-from-command", "--stdin-filename", path, "--", *command]
        return self._store(arguments, tags, variables=variables)

    def store_text(self, text: str, path: str, tags: Sequence[str]) -> Stored:
        """Store a small text as a file of its own snapshot."""
        return self._store(["--stdin", "--stdin-filename", path], tags, given=text)

    def store_tree(self, path: str, tags: Sequence[str]) -> Stored:
        """Store a directory."""
        return self._store(["--one-file-system", path], tags)

    def _store(
        self,
        arguments: Sequence[str],
        tags: Sequence[str],
        *,
        given: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> Stored:
        start = ["backup", "--quiet", "--tag", ",".join(tags), *arguments]
        code, out, lines = self._finish(self._start(start, given=bool(given), variables=variables), given)
        self._confirm(code, lines)
        summary = next(
            (entry for entry in map(_parsed, reversed(out.splitlines())) if entry.get("message_type") == "summary"),
            None,
        )
        if summary is None or not summary.get("snapshot_id"):
            raise OpsError("restic made no snapshot", where=self._repository.url, do="run the backup again")
        return Stored(
            str(summary["snapshot_id"]),
            int(summary["total_files_processed"]),
            int(summary["total_bytes_processed"]),
            int(summary.get("data_added_packed", 0)),
            tuple(lines),
        )

    # -- reading back --------------------------------------------------------------------------------------------------

    @contextmanager
    def reading(self, snapshot: str, path: str, *, archive: bool = False, fresh: bool = True) -> Iterator[IO[bytes]]:
        """The stored bytes of a file, or of a directory as a tar; from the storage itself when ``fresh``.

        :raises OpsError: at the end, when restic could not give all of it.
        """
        words = [f"{snapshot}:{path}", "/"] if archive else [snapshot, path]
        process = self._start(["dump", *words], fresh=fresh)
        watch = _Watch(process)
        try:
            assert process.stdout is not None
            yield process.stdout
            # What nobody read would leave restic waiting for ever.
            while process.stdout.read(1 << 20):
                pass
        except BaseException:
            process.kill()
            watch.finish()
            raise
        self._confirm(watch.finish(), watch.lines)

    def read_text(self, snapshot: str, path: str) -> str:
        """A small stored file."""
        with self.reading(snapshot, path) as stream:
            return stream.read().decode()

    def restore_tree(self, snapshot: str, path: str, target: str) -> None:
        """Write a stored directory's content into ``target``, with owners, modes and extended attributes."""
        self._run(["restore", f"{snapshot}:{path}", "--target", target])

    # -- running -------------------------------------------------------------------------------------------------------

    def _run(self, arguments: Sequence[str]) -> str:
        code, out, lines = self._finish(self._start(arguments))
        self._confirm(code, lines)
        return out

    def _start(
        self,
        arguments: Sequence[str],
        *,
        given: bool = False,
        fresh: bool = False,
        variables: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        options = ["--json", "--retry-lock", _LOCK_PATIENCE]
        options += ["--no-cache"] if fresh else ["--cache-dir", _CACHE]
        if self._repository.ca_file:
            options += ["--cacert", self._repository.ca_file]
        try:
            return subprocess.Popen(
                [self._program, *options, *arguments],
                stdin=subprocess.PIPE if given else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**self._repository.environment(), **(variables or {})},
            )
        except FileNotFoundError as error:
            raise OpsError("restic is not installed", where="this host", do="run provision.yml for it") from error

    def _finish(self, process: subprocess.Popen[bytes], given: str = "") -> tuple[int, str, list[str]]:
        watch = _Watch(process)
        if process.stdin is not None:
            try:
                with process.stdin as stream:
                    stream.write(given.encode())
            except BrokenPipeError:
                pass  # it ended early, and its exit code says why
        assert process.stdout is not None
        out = process.stdout.read().decode(errors="replace")
        return watch.finish(), out, watch.lines

    def _confirm(self, code: int, lines: Sequence[str]) -> None:
        if code:
            raise _failure(code, lines, self._repository)


class _Watch:
    """Reads what restic complains about, and ends it when it has only tried again for too long."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.lines: list[str] = []
        self._process = process
        self._retrying_since = 0.0
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for raw in self._process.stderr:
            line = raw.decode(errors="replace").strip()
            if not line:
                continue
            self.lines = [*self.lines[1 - _KEPT_LINES :], line]
            if "operation successful after" in line:
                self._retrying_since = 0.0
            elif "returned error, retrying after" in line:
                self._retrying_since = self._retrying_since or time.monotonic()
                if time.monotonic() - self._retrying_since > _PATIENCE_S:
                    self._process.terminate()

    def finish(self) -> int:
        """Wait for the end; its exit code."""
        code = self._process.wait()
        self._thread.join()
        return code


def _parsed(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _failure(code: int, lines: Sequence[str], repository: Repository) -> OpsError:
    """restic's exit code and last words, in ours."""
    where = f"backup repository {repository.url.removeprefix('s3:')}"
    told = [str(entry.get("message", "")) for entry in map(_parsed, lines) if entry.get("message_type") == "exit_error"]
    errors = [_inner(entry) for entry in map(_parsed, lines) if entry.get("message_type") == "error"]
    plain = [line for line in lines if not _parsed(line)]
    retried = [line for line in plain if "returned error, retrying" in line]
    command = [line.partition(": ")[2] for line in plain if line.startswith("subprocess ")]
    if code == _WRONG_PASSWORD:
        return OpsError(
            "the backup key does not open this repository",
            where=where,
            do="put the key it was made with back under the id of ops_environment.object_storage.password_secret",
        )
    if code == NO_REPOSITORY:
        return OpsError("there is no backup of this stack yet", where=where, do="back it up with back_up.yml")
    if code == _LOCKED:
        return OpsError(
            "another process holds the repository", where=where, do="wait for the other backup to end, then run again"
        )
    if command:
        return OpsError(f"the dump failed: {command[0]}", where=where, do="see the database's log; nothing was stored")
    if code == _INCOMPLETE:
        return OpsError(
            f"some files could not be read: {errors[0] if errors else 'see the disk'}",
            where=where,
            do="check the disk and the volume, then back up again",
        )
    reason = _first_line(told or plain)
    if retried:
        return OpsError(
            f"the object storage stopped answering: {retried[-1].partition(': ')[2]}",
            where=where,
            do="check the storage and the way to it, then run again; what is stored already is not sent twice",
        )
    return _storage_failure(errors, reason, where)


def _storage_failure(errors: Sequence[str], reason: str, where: str) -> OpsError:
    text = " ".join([*errors, reason])
    if "no space left" in text:
        return OpsError("the disk of this host is full", where=where, do="free some space, then run again")
    if re.search(r"access denied|signature|access key|forbidden", text, re.IGNORECASE):
        return OpsError(
            "the object storage refuses our credentials",
            where=where,
            do="check ops_environment.object_storage.credentials_secret, or the role of this instance",
        )
    if re.search(r"ciphertext verification|does not match|invalid data|truncated|not found in index|load\(<data", text):
        return OpsError(
            f"stored data is damaged or gone: {errors[0] if errors else reason}",
            where=where,
            do="restore from another backup, and keep this repository as it is for an inquiry",
        )
    return OpsError(f"restic failed: {errors[0] if errors else reason}", where=where, do="run it again")


def _inner(entry: Mapping[str, Any]) -> str:
    error = entry.get("error")
    message = error.get("message", "") if isinstance(error, dict) else error
    return f"{message} ({entry.get('item', '')})".removesuffix(" ()")


def _first_line(lines: Sequence[str]) -> str:
    return lines[-1].splitlines()[0].removeprefix("Fatal: ") if lines else "it said nothing"
