"""Files of a stack's volumes: where they are, who uses them, one hash over them, putting restored ones in place."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..model.errors import OpsError
from ..model.restore import VolumeTarget
from .engine import Engine

_CHUNK = 1 << 20
_RESTORING = "_data.seisei-restoring"
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}


@dataclass(frozen=True)
class TreeDigest:
    """How many files, how many bytes, and one hash over path, kind, owner, mode and content of everything."""

    files: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class _Entry:
    path: str
    kind: str
    owner: str
    mode: int
    content: str
    size: int = 0


class Volumes:
    """The volumes of this host."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def path(self, name: str) -> Path | None:
        """Where a volume's files are; None when there is no such volume."""
        if name not in self._engine.volumes():
            return None
        return Path(self._engine.api.inspect_volume(name)["Mountpoint"])

    def size(self, name: str) -> int | None:
        """Bytes of all files of a volume; None when there is no such volume."""
        path = self.path(name)
        if path is None:
            return None
        return sum((Path(folder) / name).lstat().st_size for folder, _, names in os.walk(path) for name in names)

    def target(self, name: str) -> VolumeTarget:
        """A volume that may be restored into."""
        path = self.path(name)
        if path is None:
            root = Path(self._engine.api.info()["DockerRootDir"])
            return VolumeTarget(name, free=shutil.disk_usage(root).free)
        users = self._engine.api.containers(filters={"volume": name})
        names = tuple(sorted(user["Names"][0].lstrip("/") for user in users))
        return VolumeTarget(name, True, len(list(path.iterdir())), names, shutil.disk_usage(path).free)

    def create(self, name: str, labels: Mapping[str, str]) -> None:
        """A new volume."""
        self._engine.create_volume(name, labels)

    @contextmanager
    def waiting_room(self, name: str) -> Iterator[Path]:
        """An empty directory beside a volume's files, from which they go in place by one rename, or away."""
        room = self._mounted(name).with_name(_RESTORING)
        if room.exists():  # of a restore that was cut off
            shutil.rmtree(room)
        room.mkdir(mode=0o700)
        try:
            yield room
        finally:
            if room.exists():
                shutil.rmtree(room)

    def place(self, name: str, room: Path, owner: str, mode: int) -> None:
        """Put the files of the waiting room in place of the empty directory of the volume."""
        user, _, group = owner.partition(":")
        os.chown(room, int(user), int(group))
        room.chmod(mode)
        try:
            room.rename(self._mounted(name))
        except OSError as error:
            raise OpsError(
                f"the files cannot be put in place: {error.strerror}",
                where=f"volume {name}",
                do="see who wrote into it meanwhile, then run this again",
            ) from error

    def _mounted(self, name: str) -> Path:
        path = self.path(name)
        if path is None:
            raise OpsError("there is no such volume", where=f"volume {name}", do="run this again")
        return path


def owner_and_mode(path: Path) -> tuple[str, int]:
    """``10001:10001`` and the permission bits of a directory."""
    status = path.stat()
    return f"{status.st_uid}:{status.st_gid}", stat.S_IMODE(status.st_mode)


def digest_archive(stream: IO[bytes]) -> TreeDigest:
    """The digest of a tree that comes as a tar.

    :raises OpsError: when the tar is cut off or damaged.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            return _digest(_archive_entries(archive))
    except (tarfile.TarError, EOFError, OSError) as error:
        raise OpsError(
            f"the files that were read back are no whole archive: {error}", where="restic dump", do="run this again"
        ) from error


def digest_tree(root: Path) -> TreeDigest:
    """The digest of a tree on disk."""
    return _digest(_disk_entries(root))


def _digest(entries: Iterable[_Entry]) -> TreeDigest:
    # A sum needs no order and no memory, whatever the number of files.
    files, size, total = 0, 0, 0
    for entry in entries:
        line = "\0".join((entry.path, entry.kind, entry.owner, f"{entry.mode:o}", entry.content))
        total += int.from_bytes(hashlib.sha256(line.encode(errors="surrogateescape")).digest())
        files += entry.kind == "file"
        size += entry.size
    return TreeDigest(files, size, f"{total % (1 << 256):064x}")


def _archive_entries(archive: tarfile.TarFile) -> Iterator[_Entry]:
    for member in archive:
        path = member.name.strip("/").removeprefix("./")
        if path in ("", "."):
            continue
        owner, mode = f"{member.uid}:{member.gid}", member.mode & 0o7777
        if member.isreg():
            content = archive.extractfile(member)
            assert content is not None
            yield _Entry(path, "file", owner, mode, _hash(content), member.size)
        elif member.isdir():
            yield _Entry(path, "directory", owner, mode, "")
        elif member.issym():
            # The mode of a link means nothing, and tar writes another than the disk has.
            yield _Entry(path, "link", owner, 0, member.linkname)


def _disk_entries(root: Path) -> Iterator[_Entry]:
    for folder, directories, names in os.walk(root):
        for name in (*directories, *names):
            path = Path(folder) / name
            status = path.lstat()
            kind = _KINDS.get(stat.S_IFMT(status.st_mode), "")
            relative = str(path.relative_to(root))
            owner, mode = f"{status.st_uid}:{status.st_gid}", stat.S_IMODE(status.st_mode)
            if kind == "file":
                with path.open("rb") as content:
                    yield _Entry(relative, kind, owner, mode, _hash(content), status.st_size)
            elif kind == "directory":
                yield _Entry(relative, kind, owner, mode, "")
            elif kind == "link":
                yield _Entry(relative, kind, owner, 0, str(path.readlink()))


def _hash(content: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := content.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
