"""What a host remembers: release records, which one is live, history, a journal, and the lock of a stack.

Everything is written whole, synced, and renamed in place, so that a crash leaves either the old or the new. What a
transaction is about to do is written down before it does anything.
"""

from __future__ import annotations

import errno
import fcntl
import getpass
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any

from ..model.begun import Begun, Watched, begun_from, watched_from
from ..model.container import canonical, config_mark
from ..model.errors import OpsError
from ..model.release import Release, StackState, release_from, state_from
from .reserve import renew, with_reserve

ROOT = Path("/var/lib/seisei")
RUN = Path("/run/seisei")
FREE_IT = (
    "free some of the disk with 'journalctl --vacuum-size=100M', then run again; never with 'docker system prune', "
    "which takes away what a rollback goes back to"
)
_BEGUN, _WATCHED = "transaction.json", "watch.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_LOCK = re.compile(r"[a-z0-9][a-z0-9.-]*")
_STOPPABLE = re.compile(r", in (seisei-(?:release|watch)-[a-z0-9-]+), since ")


def now() -> str:
    """UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A full or broken disk becomes an error that a transaction can undo for."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise OpsError(
            f"cannot be written: {error.strerror or error}",
            where=str(path),
            do=FREE_IT if full else "repair the disk, then run again",
        ) from error


def write_file(path: Path, text: str, mode: int = 0o640) -> None:
    """Write a file whole: a neighbour first, synced, then renamed over the target.

    Raises OpsError when the disk refuses; what was there is then still there.
    """
    with writing(path):
        _write(path, text, mode)


def place_in_mounts(path: Path, text: str, mode: int) -> None:
    """Write a file that containers may have mounted: mended where it is, since they would not see another one.

    Raises OpsError when the disk refuses.
    """
    if not path.exists():
        write_file(path, text, mode)
        return
    with writing(path):
        path.chmod(mode | 0o200)
        with path.open("r+b") as handle:
            handle.write(text.encode())
            handle.truncate()
            handle.flush()
            os.fsync(handle.fileno())
        path.chmod(mode)


def _write(path: Path, text: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            os.fchmod(handle.fileno(), mode)
            handle.write(text)
            handle.flush()
            os.fsync(handle.fileno())
        partial.rename(path)
    except OSError:  # a part takes space that a full disk has not
        partial.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _append(path: Path, entry: Mapping[str, Any]) -> None:
    line = json.dumps(entry, ensure_ascii=False, sort_keys=True) + "\n"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+", buffering=0) as handle:
            # A crash may have cut the last line: what is told now must not be lost with it.
            size = handle.seek(0, os.SEEK_END)
            whole = (line if not size or _ends_a_line(handle) else "\n" + line).encode()
            try:
                if handle.write(whole) != len(whole):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(handle.fileno())
            except OSError:  # all of the line or nothing: the next one may find space again
                with suppress(OSError):
                    handle.truncate(size)
                raise


def _ends_a_line(handle: FileIO) -> bool:
    handle.seek(-1, os.SEEK_END)
    return handle.read(1) == b"\n"


def _fit_for_a_path(name: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(name):
        raise OpsError(f"'{name}' cannot be the name of a stack", do="use lower-case letters, digits and '-'")
    return name


def _event(stack: str, number: int, line: str) -> dict[str, Any]:
    try:
        return dict(json.loads(line))
    except ValueError:  # told as it is: history goes on after a crash, and does not pretend there was none
        cut = f"line {number} of history.jsonl was cut by a crash"
        return {"at": "", "stack": stack, "action": "unreadable", "outcome": "unreadable", "error": cut}


class Busy(OpsError):
    """Somebody else is changing the stack; ``holder`` is what its lock says of them."""

    def __init__(self, stack: str, holder: str) -> None:
        found = _STOPPABLE.search(holder)
        # Its process heeds no signal to end, and dies; what comes after the unit (ExecStopPost) tends the stack.
        end = (
            f"; if nobody can wait, on the host: systemctl stop {found[1]} (what it began is undone, or finished when "
            "its release is live; roll_back.md says what a migration needs)"
            if found
            else ""
        )
        super().__init__(
            f"stack '{stack}' is being changed: {holder or 'just started'}",
            do=f"wait for it to end, then run this again{end}",
        )


def own_unit(cgroup: Path = Path("/proc/self/cgroup")) -> str:
    """The unit of ours that this process runs in, or nothing; see cgroups(7)."""
    with suppress(OSError):
        for line in cgroup.read_text(encoding="utf-8").splitlines():
            name = line.rpartition("/")[2]
            if name.startswith("seisei-") and name.endswith(".service"):
                return name.removesuffix(".service")
    return ""


class HostState:
    """The memory of one host. ``root`` and ``run`` are parameters so that tests use their own."""

    def __init__(self, root: Path = ROOT, run: Path = RUN) -> None:
        self.root = root
        self.run = run

    def _stack(self, stack: str) -> Path:
        return self.root / "stacks" / _fit_for_a_path(stack, _NAME)

    def stacks(self) -> tuple[str, ...]:
        """Stacks this host has a state of."""
        folder = self.root / "stacks"
        return tuple(sorted(entry.name for entry in folder.iterdir())) if folder.is_dir() else ()

    def state(self, stack: str) -> StackState:
        """Which records are live and on standby."""
        found = self._json(self._stack(stack) / "state.json")
        return state_from(found) if found is not None else StackState()

    def set_state(self, stack: str, state: StackState) -> None:
        """Replace the state."""
        write_file(self._stack(stack) / "state.json", json.dumps(state.as_dict()))

    def record(self, stack: str, number: int) -> Release:
        """A release record.

        Raises OpsError when it is not there.
        """
        found = self._json(self._stack(stack) / "records" / f"{number}.json")
        if found is None:
            raise OpsError(f"stack '{stack}' has no release {number} here", do="history.yml lists what there is")
        return release_from(found)

    def next_number(self, stack: str) -> int:
        """The number of the next release. Records count too: a crash may have come before the state was written."""
        return max(self.state(stack).last, *self._numbers(stack), 0) + 1

    def _numbers(self, stack: str) -> list[int]:
        folder = self._stack(stack) / "records"
        return sorted(int(path.stem) for path in folder.glob("*.json")) if folder.is_dir() else []

    def records(self, stack: str) -> tuple[Release, ...]:
        """All records, oldest first."""
        return tuple(self.record(stack, number) for number in self._numbers(stack))

    def add_record(self, release: Release) -> None:
        """Write a new record and count it; records are immutable, so an existing one is refused."""
        path = self._stack(release.stack) / "records" / f"{release.number}.json"
        if path.exists():
            raise OpsError(f"release {release.number} of '{release.stack}' is already recorded", where=str(path))
        with_reserve(self.root, lambda: write_file(path, json.dumps(release.as_dict(), ensure_ascii=False)))
        self.set_state(release.stack, replace(self.state(release.stack), last=release.number))

    def journal(self, stack: str, entry: Mapping[str, Any]) -> None:
        """Append to the stack's journal, synced."""
        _append(self._stack(stack) / "journal.jsonl", {"at": now(), **entry})

    def journaled(self, stack: str, transaction: str) -> list[dict[str, Any]]:
        """What the journal says of one transaction, oldest first; a line that a crash cut is passed over."""
        path = self._stack(stack) / "journal.jsonl"
        lines = path.read_bytes().decode(errors="replace").split("\n") if path.exists() else []
        found = [_event(stack, number, line) for number, line in enumerate(lines, 1) if transaction in line]
        return [entry for entry in found if entry.get("transaction") == transaction]

    def tell(self, stack: str, entry: Mapping[str, Any]) -> None:
        """Append to the stack's history, synced."""
        _append(self._stack(stack) / "history.jsonl", {"at": now(), "stack": stack, **entry})

    def history(self, stack: str) -> list[dict[str, Any]]:
        """All events of a stack, oldest first."""
        path = self._stack(stack) / "history.jsonl"
        lines = path.read_bytes().decode(errors="replace").split("\n") if path.exists() else []
        return [_event(stack, number, line) for number, line in enumerate(lines, 1) if line]

    # -- what is under way ---------------------------------------------------------------------------------------------

    def begin(self, begun: Begun) -> None:
        """Write down what is about to be done, before it is; synced. On a full disk the reserve is spent for it."""
        path, text = self._stack(begun.stack) / _BEGUN, json.dumps(begun.as_dict(), ensure_ascii=False)
        with_reserve(self.root, lambda: write_file(path, text), ahead=True)

    def begun(self, stack: str) -> Begun | None:
        """The transaction that has not told its end, or None."""
        found = self._json(self._stack(stack) / _BEGUN)
        return None if found is None else begun_from(found)

    def ended(self, stack: str) -> None:
        """The transaction has told its end; the reserve is kept back again, where there is room."""
        self._take_away(self._stack(stack) / _BEGUN)
        renew(self.root)

    def watch(self, watched: Watched) -> None:
        """Write down which release is watched; it takes the place of the one before."""
        write_file(self._stack(watched.stack) / _WATCHED, json.dumps(watched.as_dict(), ensure_ascii=False))

    def watched(self, stack: str) -> Watched | None:
        """The release under watch, or None."""
        found = self._json(self._stack(stack) / _WATCHED)
        return None if found is None else watched_from(found)

    def unwatch(self, stack: str) -> None:
        """Nothing of the stack is watched any more."""
        self._take_away(self._stack(stack) / _WATCHED)

    @staticmethod
    def _take_away(path: Path) -> None:
        with writing(path):
            if path.exists():
                path.unlink(missing_ok=True)
                _sync_folder(path.parent)

    def told_of(self, stack: str, transaction: str) -> list[dict[str, Any]]:
        """The events of one transaction, oldest first."""
        return [event for event in self.history(stack) if event.get("transaction") == transaction]

    def _json(self, path: Path) -> dict[str, Any] | None:
        try:
            return dict(json.loads(path.read_text()))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, OSError) as error:
            raise OpsError(
                f"cannot be read: {error}", where=str(path), do="restore it from a backup of the host"
            ) from error

    def known(self, stack: str) -> bool:
        """Whether this host was ever converged to the stack, or has a release of it."""
        return any((self._stack(stack) / name).exists() for name in ("state.json", "applied.json"))

    def applied(self, stack: str) -> dict[str, Any] | None:
        """What the stack was last converged to, or None."""
        return self._json(self._stack(stack) / "applied.json")

    def set_applied(self, stack: str, applied: Mapping[str, Any]) -> None:
        """Note what the stack was converged to, unless just that stands there already."""
        path = self._stack(stack) / "applied.json"
        text = canonical(applied)
        if not path.exists() or path.read_text() != text:
            write_file(path, text)

    def forget(self, stack: str) -> None:
        """Take away configs, records and state of a stack. Its history stays, for whoever asks what ran here."""
        with writing(self._stack(stack)):
            for path in (self._stack(stack) / "records", self.root / "configs" / stack):
                if path.exists():
                    shutil.rmtree(path)
            for name in ("state.json", "applied.json", "journal.jsonl", _BEGUN, _WATCHED):
                (self._stack(stack) / name).unlink(missing_ok=True)

    # -- configs -----------------------------------------------------------------------------------------------------

    def configs(self) -> dict[str, bool]:
        """Paths of the configs that are in place, each with whether its content is still what its name says."""
        found: dict[str, bool] = {}
        for path in (self.root / "configs").glob("*/*"):
            with suppress(FileNotFoundError):  # removed by another run meanwhile
                found[str(path)] = config_mark(path.read_bytes()) == path.name[:16]
        return found

    def place_config(self, path: str, content: str) -> None:
        """Write a config; its name carries its content's hash, so it never changes afterwards."""
        place_in_mounts(Path(path), content, 0o644)

    # -- lock ----------------------------------------------------------------------------------------------------------

    @contextmanager
    def locked(self, stack: str, what: str) -> Iterator[None]:
        """Hold the stack's lock; it cannot survive its holder, since the kernel keeps it.

        Raises OpsError at once, saying who holds it and since when.
        """
        self.run.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(
            self.run / f"{_fit_for_a_path(stack, _LOCK)}.lock", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600
        )
        with os.fdopen(descriptor, "a+") as handle:
            os.fchmod(descriptor, 0o600)  # who can open it can lock it, and so stop every release
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                handle.seek(0)
                raise Busy(stack, handle.read().strip()) from error
            unit = own_unit()
            handle.truncate(0)
            handle.write(f"{what}, pid {os.getpid()} ({getpass.getuser()}){unit and f', in {unit}'}, since {now()}")
            handle.flush()
            try:
                yield
            finally:
                handle.truncate(0)


def utc(text: str) -> datetime:
    """The time that :func:`now` wrote."""
    return datetime.fromisoformat(text)


def seconds_since(began: float) -> float:
    """Seconds since a ``time.monotonic()`` mark, to the millisecond."""
    return round(time.monotonic() - began, 3)
