#!/usr/bin/python3
"""Bring the secrets of this host's stacks back to memory after a boot, from the sealed copies that lie on its disk.

Run by seisei-secrets.service before the engine starts its containers. Standard library only: nothing else of the
repository is on a host. A copy that cannot be brought back is told and makes the exit code 1; the others are back.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
import sys
from pathlib import Path

STATE = Path("/var/lib/seisei")
RUN = Path("/run/seisei/secrets")
OPENING_LIMIT = 30  # seconds, for one secret


def main(state: Path = STATE, run: Path = RUN) -> int:
    """The exit code; complaints go to the journal."""
    os.umask(0o077)  # what is on its way into the folders is for root alone
    failed = 0
    for sealed in sorted((state / "secrets").glob("*/[!.]*")):
        try:
            restore(sealed, state / "fingerprint.key", run)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            failed += 1
            print(
                f"{sealed}: {error}. Next: converge this host, or remove the file if no stack has it", file=sys.stderr
            )
    return 1 if failed else 0


def restore(sealed: Path, key: Path, run: Path) -> None:
    """Write one secret to its place.

    Raises ValueError for a copy that systemd does not open, or whose value is not the one it is named after.
    """
    stack, name = sealed.parts[-2:]
    value = opened(sealed, f"{stack}.{name}")
    if sealed.suffix != f".{mark(value, key.read_bytes())}":
        raise ValueError("its value is not the one it is named after")
    place(run / stack / name, value)


def opened(sealed: Path, name: str) -> bytes:
    """The value; systemd refuses a copy that was changed, or was sealed on another host or under another name."""
    argv = ["systemd-creds", "decrypt", f"--name={name}", str(sealed), "-"]
    done = subprocess.run(argv, capture_output=True, check=False, timeout=OPENING_LIMIT)
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").splitlines()
        raise ValueError(f"systemd-creds refused: {' / '.join(said)}")
    return done.stdout


def mark(value: bytes, key: bytes) -> str:
    """As HostSecrets.mark does it, which wrote the copy."""
    return hmac.new(key, value, hashlib.sha256).hexdigest()[:16]


def place(path: Path, value: bytes) -> None:
    """Whole or not at all, and readable for services that run as other users."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.part")
    partial.write_bytes(value)
    partial.chmod(0o444)
    partial.rename(path)


if __name__ == "__main__":
    sys.exit(main())
