"""Sign and verify statements with ``ssh-keygen -Y`` (ssh-keygen(1); the format is OpenSSH's PROTOCOL.sshsig).

Texts go through standard input, public keys and signatures through files of a private directory. Private keys stay
where they are: in a file, in an agent, or on hardware. ssh-keygen finds them by the public key.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from ..model.errors import OpsError
from ..model.gate import Checked, Gate, instant
from ..model.signers import is_name, revoked_fingerprints
from ..model.statement import CLOSED, WITHDRAWN, Signed, Statement, namespace_of

HOST_KEY = Path("/etc/ssh/ssh_host_ed25519_key")
_LASTING = (WITHDRAWN, CLOSED)
_LIMIT_S = 60  # somebody may have to touch a hardware key
_SIGNED = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


def sign(statement: Statement, key: str | Path) -> Signed:
    """Sign a statement with a key: a private key's file, or a public one's whose private half an agent or token holds.

    Raises OpsError when that key cannot sign.
    """
    text = statement.text()
    argv = ["-Y", "sign", "-n", namespace_of(statement.kind), "-f", str(key)]
    done = _ssh_keygen(argv, text)
    if done.returncode != 0:
        raise OpsError(
            f"the key did not sign: {_last_line(done.stderr)}",
            where=str(key),
            do=f"check that `ssh-keygen -Y sign -n test -f {key}` signs; a key with a passphrase has to be in an agent"
            " (ssh-add)",
        )
    return Signed(text, done.stdout)


def fingerprint_of(key: str | Path) -> str:
    """The fingerprint of a key that is about to sign; its private half is not needed.

    Raises OpsError when there is no such key.
    """
    done = _ssh_keygen(["-l", "-f", str(key)])
    found = _SIGNED.search(done.stdout)
    if done.returncode != 0 or not found:
        raise OpsError(
            f"there is no SSH key: {_last_line(done.stderr)}",
            where=str(key),
            do="name the file of a private key, or of a public one whose private half is in your agent",
        )
    return found[0]


def check(signed: Iterable[Signed], gate: Gate, now: datetime | None = None) -> list[Checked]:
    """Look at the signatures of statements, in order. What is no statement at all is left out.

    A signer's key has to be valid when it signed, by the statement's own word, and ``now`` (UTC): the first is what the
    signer said, the second what they cannot help. ``now`` None asks for the first alone, as an auditor of the past
    does. Of what takes a statement back or closes it the first alone is asked in any case: that a key runs out brings
    nothing back.
    """
    found: list[tuple[Signed, Statement]] = []
    for one in signed:
        try:
            found.append((one, one.statement))
        except OpsError:
            continue
    with TemporaryDirectory(prefix="seisei-signers-") as folder, ThreadPoolExecutor(4) as pool:
        trust = _Trust(Path(folder), gate)
        faults = pool.map(lambda pair: trust.fault(pair[0], pair[1], now), found)
        return [
            Checked(statement, fault, revoked=fault == _revoked(statement))
            for (_, statement), fault in zip(found, faults, strict=True)
        ]


class _Trust:
    """Whom a gate trusts, written down for ssh-keygen."""

    def __init__(self, folder: Path, gate: Gate) -> None:
        self._folder = folder
        self._gate = gate
        self._signers = folder / "allowed_signers"
        self._revoked = folder / "revoked_keys"
        self._signers.write_text(gate.allowed_signers + "\n", encoding="utf-8")
        self._revoked.write_text(gate.revoked_keys + "\n", encoding="utf-8")

    def fault(self, signed: Signed, statement: Statement, now: datetime | None) -> str:
        """What is wrong with a signature, in words; empty when nothing is."""
        at = instant(statement.at)
        if at is None:
            return f"'{statement.at}' is not a time with its zone"
        if not is_name(statement.by):
            return "what it says of its signer is no name"
        with TemporaryDirectory(dir=self._folder) as own:
            signature = Path(own) / "signature"
            signature.write_text(signed.signature, encoding="utf-8", errors="replace")
            for moment in {at, at if statement.kind in _LASTING else now or at}:
                told = self._verify(signed.text, signature, statement, moment)
                if told is not None:
                    return self._named(signed.text, signature, statement, told)
        return ""

    def _verify(self, text: str, signature: Path, statement: Statement, moment: datetime) -> str | None:
        """None when it is good at that moment, else what ssh-keygen said."""
        argv = ["-Y", "verify", "-n", namespace_of(statement.kind), "-I", statement.by, "-s", str(signature)]
        argv += ["-f", str(self._signers), "-r", str(self._revoked)]
        argv += ["-O", f"verify-time={moment.astimezone(UTC):%Y%m%d%H%M%SZ}"]
        done = _ssh_keygen(argv, text)
        return None if done.returncode == 0 else done.stderr

    def _named(self, text: str, signature: Path, statement: Statement, told: str) -> str:
        """The fault in our words: ssh-keygen tells some of them only by refusing."""
        namespace = namespace_of(statement.kind)
        done = _ssh_keygen(["-Y", "check-novalidate", "-n", namespace, "-s", str(signature)], text)
        mark = _SIGNED.search(done.stdout)
        if done.returncode != 0 or not mark:
            return f"it is forged or damaged: {_last_line(done.stderr)}"
        if mark[0] in revoked_fingerprints(self._gate.revoked_keys):
            return _revoked(statement)
        owners = {one.name for one in self._gate.signers if one.fingerprint == mark[0]}
        if not owners:
            return f"no signer of this environment has the key {mark[0]}"
        if statement.by not in owners:
            return f"it says {statement.by} and was signed with the key of {', '.join(sorted(owners))}"
        if statement.by not in self._gate.who_may(statement.kind):
            return f"{statement.by} may not sign '{statement.kind}'"
        if "expired" in told or "not yet valid" in told:
            return f"the key of {statement.by} is not valid at that time: {_last_line(told, 'valid')}"
        return f"it does not verify: {_last_line(told)}"


def _revoked(statement: Statement) -> str:
    return f"the key of {statement.by} is revoked"


def _ssh_keygen(arguments: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    # In a session of its own it has no terminal to ask for a passphrase: nobody would see the question.
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    try:
        return subprocess.run(
            ["ssh-keygen", *arguments], input=text, capture_output=True, text=True, encoding="utf-8",
            timeout=_LIMIT_S, check=False, env=environment, start_new_session=True,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise OpsError(
            "there is no ssh-keygen", where="PATH", do="install OpenSSH's client (Debian: openssh-client)"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise OpsError(
            f"ssh-keygen did not answer within {_LIMIT_S} s",
            where=arguments[-1],
            do="touch the hardware key when it blinks, and run the same again",
        ) from error


def _last_line(text: str, word: str = "") -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip() and word in line]
    return lines[-1] if lines else "it said nothing"
