"""Secrets of a host: values on tmpfs for the containers, and a sealed copy of each that outlives a boot.

A file is named after its value (``<NAME>.<mark>``), so it never changes: a rotated secret is a new file, and a
container that mounts the old one is seen to differ. The mark is keyed with this host's key and says nothing without it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from threading import Lock

from ..model.container import SECRET_ROOT
from ..model.errors import OpsError
from .host_state import ROOT, place_in_mounts, write_file, writing

_SEALING_LIMIT = 30  # seconds; a TPM takes part of one


def seal(name: str, value: str) -> str:
    """``value``, encrypted by systemd under a credential's ``name`` so that only this host can read it.

    Raises OpsError when the program is missing or refuses.
    """
    # Bound to no PCR of a TPM: an update of Secure Boot's lists must not cost a host its secrets.
    argv = ["systemd-creds", "encrypt", "--with-key=auto", "--tpm2-pcrs=", f"--name={name}", "-", "-"]
    where, do = f"secret {name}", "look at it on the host, then run again"
    try:
        done = subprocess.run(argv, input=value.encode(), capture_output=True, check=False, timeout=_SEALING_LIMIT)
    except FileNotFoundError as error:
        raise OpsError("there is no program 'systemd-creds' here", where=where, do="run provision.yml") from error
    except subprocess.TimeoutExpired as error:
        raise OpsError(f"sealing it did not end within {_SEALING_LIMIT} seconds", where=where, do=do) from error
    if done.returncode != 0:
        said = " / ".join(done.stderr.decode(errors="replace").splitlines()).replace(value or "\n", "***")
        raise OpsError(f"systemd-creds refused: {said}", where=where, do=do)
    return done.stdout.decode()


class HostSecrets:
    """The secrets of one host. Places and ``seal`` are parameters so that tests use their own."""

    def __init__(
        self,
        run: Path = Path(SECRET_ROOT),
        sealed: Path = ROOT / "secrets",
        key: Path = ROOT / "fingerprint.key",
        seal: Callable[[str, str], str] = seal,
    ) -> None:
        self.run = run
        self.sealed = sealed
        self.key = key
        self._seal = seal
        self._known = b""
        self._fresh = secrets.token_hex(32).encode()
        self._keeping = Lock()  # steps of a plan are taken side by side

    # -- marks ---------------------------------------------------------------------------------------------------------

    def mark(self, value: str) -> str:
        """16 hexadecimal digits: equal values, equal mark; useless to guess values from without this host's key."""
        return self._mark(value.encode())

    def marks(self, values: Mapping[str, str]) -> dict[str, str]:
        """The mark of each secret, by its name."""
        return {name: self.mark(value) for name, value in values.items()}

    def _mark(self, value: bytes) -> str:
        self._known = self._known or self._kept() or self._fresh
        return hmac.new(self._known, value, hashlib.sha256).hexdigest()[:16]

    def _kept(self) -> bytes:
        try:
            return self.key.read_bytes()
        except FileNotFoundError:
            return b""

    def _keep_key(self) -> None:
        """Write down a key that is still in memory only, as it is throughout a rehearsal."""
        with self._keeping:
            if not self.key.exists():
                draft = self.key.with_name(f".fingerprint.{os.getpid()}.key")
                write_file(draft, self._known.decode(), 0o600)
                with suppress(FileExistsError):  # another run was first, and its key is the key
                    self.key.hardlink_to(draft)
                draft.unlink()
            if self._kept() != self._known:
                raise OpsError("another run gave this host its key meanwhile", where=str(self.key), do="run this again")

    # -- files ---------------------------------------------------------------------------------------------------------

    def present(self) -> dict[str, frozenset[str]]:
        """Per stack the ``<NAME>.<mark>`` that containers can mount and a boot brings back.

        A value that somebody edited does not count, nor one without its sealed copy.
        """
        found: dict[str, set[str]] = {}
        for path in self.run.glob("*/*.*"):
            if self._is_sound(path):
                found.setdefault(path.parent.name, set()).add(path.name)
        return {stack: frozenset(names) for stack, names in found.items()}

    def _is_sound(self, path: Path) -> bool:
        try:
            value = path.read_bytes()
        except OSError:  # removed by another run meanwhile
            return False
        sealed = self.sealed / path.parent.name / path.name
        return path.suffix == f".{self._mark(value)}" and sealed.is_file()

    def values(self, stack: str, marks: Mapping[str, str]) -> dict[str, str]:
        """The values of these secrets (name -> mark) that this host holds; one that it does not hold is left out."""
        present = self.present().get(stack, frozenset())
        files = {name: f"{name}.{mark}" for name, mark in marks.items()}
        return {name: (self.run / stack / file).read_text() for name, file in files.items() if file in present}

    def place(self, stack: str, name: str, value: str) -> None:
        """Put a value on tmpfs, readable in containers only, and its sealed copy on the disk.

        Raises OpsError when it cannot be sealed or written; the value itself is in no message.
        """
        mark = self.mark(value)
        self._keep_key()
        file = f"{name}.{mark}"
        for root in (self.run, self.sealed):
            _close(root)
        write_file(self.sealed / stack / file, self._seal(f"{stack}.{file}", value), 0o600)
        place_in_mounts(self.run / stack / file, value, 0o444)

    def remove(self, stack: str, file_name: str) -> None:
        """Take a secret that nothing mounts any more from tmpfs and disk; one that is gone already is fine."""
        for root in (self.sealed, self.run):  # the copy first: what is on tmpfs alone is gone with the next boot
            with writing(root):
                (root / stack / file_name).unlink(missing_ok=True)

    def forget(self, stack: str) -> None:
        """Take all secrets of a stack from tmpfs and disk."""
        for root in (self.sealed, self.run):
            with writing(root), suppress(FileNotFoundError):
                shutil.rmtree(root / stack)


def _close(folder: Path) -> None:
    """To everyone but root: the files themselves are open, for services that run as other users."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
