"""Transient units of systemd: what runs on this host and not in anybody's session.

``systemd-run`` returns once the program was started (``Type=exec``). A unit that ended is forgotten (``--collect``);
what it wrote stays in the journal under its name.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..model.errors import OpsError

# Nothing that takes a device away: secrets are sealed by the TPM where there is one.
_PROPERTIES = (
    "After=docker.service",  # so that it is stopped before the engine when the host goes down
    "KillMode=mixed",
    "TimeoutStopSec=120",
    "OOMScoreAdjust=-900",  # short of memory, a host must not kill what can take a bad release back
    "NoNewPrivileges=yes",
    "ProtectHome=yes",
    "ProtectKernelModules=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
)
_LIMIT_S = 30


class Units:
    """Starts and asks for units by name (without ``.service``)."""

    def start(self, name: str, library: Path, words: Sequence[str], *, afterwards: Sequence[str] = ()) -> None:
        """Run the library with these words; ``afterwards`` it is run with those, however the first run ended.

        Raises OpsError when systemd refuses, with its reason.
        """
        program = [sys.executable or "/usr/bin/python3", "-s", "-E", str(library)]
        given = [f"--property={one}" for one in _PROPERTIES]
        if afterwards:
            given.append(f"--property=ExecStopPost={' '.join([*program, *afterwards])}")
        argv = ["systemd-run", "--quiet", "--collect", "--no-ask-password", "--service-type=exec", f"--unit={name}"]
        argv.append(f"--description=seisei-ops: {' '.join(words)}")
        done = self._run([*argv, *given, "--", *program, *words])
        if done.returncode != 0:
            raise OpsError(
                f"systemd did not start it: {' / '.join(done.stderr.splitlines()) or done.returncode}",
                where=f"unit {name}",
                do="look at systemctl status on the host",
            )

    def runs(self, name: str) -> bool:
        """Whether the unit runs, or what comes after it still does."""
        done = self._run(["systemctl", "show", "--property=ActiveState", "--value", f"{name}.service"])
        return done.stdout.strip() in ("active", "activating", "deactivating", "reloading")

    @staticmethod
    def _run(argv: list[str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                argv, capture_output=True, text=True, timeout=_LIMIT_S, check=False, stdin=subprocess.DEVNULL
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise OpsError(f"{argv[0]} cannot be run: {error}", do="this host needs systemd; provision it") from error
