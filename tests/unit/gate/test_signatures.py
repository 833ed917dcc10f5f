"""Signatures with real keys and the real ssh-keygen: in files and in an agent, good and bad in every way we know."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from plugins.module_utils.gateway.signatures import check, fingerprint_of, sign
from plugins.module_utils.model.document import Node
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.gate import Gate, parse_gate
from plugins.module_utils.model.statement import APPROVED, CLOSED, WITHDRAWN, Signed, Statement, namespace_of
from tests.unit.gate.gate_parts import said

NOW = datetime(2026, 12, 8, 6, 30, tzinfo=UTC)
SPACES = 'namespaces="approved@seisei-ops,requested@seisei-ops"'


def make_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> str:
    """A key pair; its public line without the comment."""
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "", "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path.with_suffix(".pub").read_text().strip()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    for name in ("approver", "developer", "stranger"):
        make_key(folder / name)
    return folder


def public(keys: Path, name: str) -> str:
    return (keys / f"{name}.pub").read_text().strip()


def gate(keys: Path, *, options: str = SPACES, revoked: str = "") -> Gate:
    lines = "\n".join(f"{name} {options} {public(keys, name)}" for name in ("approver", "developer"))
    node = Node({"allowed_signers": lines, "revoked_keys": revoked}, "gate")
    found = parse_gate(node)
    node.finish()
    return found


def fault(signed: Signed, found: Gate, now: datetime | None = NOW) -> str:
    (one,) = check([signed], found, now)
    return one.fault


def approval(**changed: str) -> Statement:
    return said(APPROVED, **changed)


def test_a_good_signature_is_good(keys: Path) -> None:
    signed = sign(approval(), keys / "approver")
    (found,) = check([signed], gate(keys), NOW)
    assert (found.statement, found.fault) == (approval(), "")


def test_many_are_looked_at_in_order_and_what_is_no_statement_is_left_out(keys: Path) -> None:
    good = sign(approval(), keys / "approver")
    bad = sign(approval(id="2"), keys / "stranger")
    found = check([good, Signed("{}", good.signature), bad, good], gate(keys), NOW)
    assert [bool(one.fault) for one in found] == [False, True, False]


def test_unsigned_is_forged(keys: Path) -> None:
    assert fault(Signed(approval().text(), ""), gate(keys)).startswith("it is forged or damaged")


def test_another_text_under_the_same_signature_is_forged(keys: Path) -> None:
    signed = sign(approval(), keys / "approver")
    for changed in (
        approval(stack="www"),
        approval(environment="staging"),
        approval(release="sha-0"),
        approval(id="another"),
    ):
        text = changed.text()
        assert fault(Signed(text, signed.signature), gate(keys)).startswith("it is forged or damaged")


def test_a_signature_for_one_kind_is_none_for_another(keys: Path) -> None:
    signed = sign(approval(), keys / "approver")
    other = replace(approval(), kind=CLOSED).text()
    assert fault(Signed(other, signed.signature), gate(keys)).startswith("it is forged or damaged")


def test_an_unknown_key_is_named(keys: Path) -> None:
    told = fault(sign(approval(), keys / "stranger"), gate(keys))
    assert told == f"no signer of this environment has the key {fingerprint_of(keys / 'stranger')}"


def test_nobody_signs_for_another(keys: Path) -> None:
    signed = sign(approval(by="approver"), keys / "developer")
    assert fault(signed, gate(keys)) == "it says approver and was signed with the key of developer"
    signed = sign(approval(by="nobody"), keys / "developer")
    assert "it says nobody" in fault(signed, gate(keys))


def test_who_may_sign_one_kind_may_not_sign_another(keys: Path) -> None:
    signed = sign(said(CLOSED), keys / "approver")
    assert fault(signed, gate(keys)) == "approver may not sign 'closed'"


def test_a_revoked_key_counts_for_nothing_whenever_it_signed(keys: Path) -> None:
    signed = sign(approval(at="2020-01-01T00:00:00Z"), keys / "approver")
    revoked = gate(keys, revoked=public(keys, "approver"))
    assert fault(signed, revoked) == "the key of approver is revoked"
    assert fault(sign(approval(by="developer"), keys / "developer"), revoked) == ""


def test_a_key_has_to_be_valid_when_it_signed_and_now(keys: Path) -> None:
    # What it said before it expired cannot be trusted now: the time in a statement is the signer's own word.
    signed = sign(approval(), keys / "approver")
    expired = gate(keys, options=f'{SPACES},valid-before="20261208062959Z"')
    assert "the key of approver is not valid at that time" in fault(signed, expired)
    assert fault(signed, expired, None) == ""  # an auditor of the past asks for that time alone
    early = gate(keys, options=f'{SPACES},valid-after="20261208062930Z"')
    assert "the key of approver is not valid at that time" in fault(signed, early)
    assert fault(signed, gate(keys, options=f'{SPACES},valid-after="20261208Z",valid-before="20261209Z"')) == ""


@pytest.mark.parametrize("kind", [WITHDRAWN, CLOSED])
def test_that_a_key_runs_out_brings_nothing_back(keys: Path, kind: str) -> None:
    signed = sign(said(kind, by="approver"), keys / "approver")
    spaces = f'namespaces="{namespace_of(kind)}"'
    assert fault(signed, gate(keys, options=f'{spaces},valid-before="20261208062959Z"')) == ""
    assert "not valid at that time" in fault(signed, gate(keys, options=f'{spaces},valid-before="20261208062859Z"'))
    (found,) = check([signed], gate(keys, options=spaces, revoked=public(keys, "approver")))
    assert found.revoked


def test_a_statement_without_a_time_is_not_good(keys: Path) -> None:
    assert "is not a time" in fault(sign(approval(at="yesterday"), keys / "approver"), gate(keys))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"at": "0001-01-01T00:00:00+14:00"}, "is not a time"),
        ({"at": "9999-12-31T23:59:59-14:00"}, "is not a time"),
        ({"by": "a\0b"}, "is no name"),
        ({"by": ""}, "is no name"),
        ({"by": "a" * 200_000}, "is no name"),
        ({"by": "a b"}, "is no name"),
    ],
)
def test_whatever_a_statement_says_its_fault_is_told(keys: Path, changed: dict[str, str], says: str) -> None:
    odd = Signed(approval(**changed).text(), "junk \ud800")
    good = sign(approval(), keys / "approver")
    first, second = check([odd, good], gate(keys), NOW)
    assert says in first.fault
    assert second.fault == ""


@pytest.mark.parametrize("signature", ["", "junk \ud800", "\0", "-----BEGIN SSH SIGNATURE-----\n" + "A" * 70_000])
def test_whatever_a_signature_is_its_fault_is_told(keys: Path, signature: str) -> None:
    assert "forged or damaged" in fault(Signed(approval().text(), signature), gate(keys))


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_keys_sign_too(keys: Path, tmp_path: Path, kind: str) -> None:
    line = make_key(tmp_path / "key", kind)
    node = Node({"allowed_signers": f"mei {SPACES} {line}"}, "gate")
    assert fault(sign(approval(by="mei"), tmp_path / "key"), parse_gate(node)) == ""


# -- where keys live ---------------------------------------------------------------------------------------------------


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    socket = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()  # it names its socket once it listens
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
    yield
    process.terminate()
    process.wait(10)


@pytest.mark.usefixtures("agent")
def test_a_key_in_an_agent_signs_by_its_public_half(keys: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-add", "-q", str(keys / "approver")], check=True, capture_output=True)
    shutil.copy(keys / "approver.pub", tmp_path / "mine.pub")
    assert fault(sign(approval(), tmp_path / "mine.pub"), gate(keys)) == ""
    assert fingerprint_of(tmp_path / "mine.pub") == fingerprint_of(keys / "approver")


@pytest.mark.usefixtures("agent")
def test_a_public_half_without_a_private_one_says_so(keys: Path, tmp_path: Path) -> None:
    shutil.copy(keys / "approver.pub", tmp_path / "mine.pub")
    with pytest.raises(OpsError, match="the key did not sign"):
        sign(approval(), tmp_path / "mine.pub")


def test_a_key_with_a_passphrase_asks_nobody_and_points_to_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    make_key(tmp_path / "key", passphrase="long enough")
    with pytest.raises(OpsError, match="ssh-add"):
        sign(approval(), tmp_path / "key")


def test_a_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    for ask in (fingerprint_of, lambda key: sign(approval(), key)):
        with pytest.raises(OpsError, match="No such file") as caught:
            ask(tmp_path / "none")
        assert str(tmp_path / "none") in caught.value.where


def test_a_machine_without_ssh_keygen_says_what_to_install(keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(OpsError, match="openssh-client"):
        sign(approval(), keys / "approver")


def test_neither_the_text_nor_a_key_is_told_on_a_command_line(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which("ssh-keygen")
    seen = tmp_path / "seen"
    (tmp_path / "ssh-keygen").write_text(f'#!/bin/sh\nfor word; do echo "$word" >>{seen}; done\nexec {real} "$@"\n')
    (tmp_path / "ssh-keygen").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    check([sign(approval(), keys / "approver")], gate(keys), NOW)
    words = seen.read_text()
    assert "verify" in words
    assert "BEGIN" not in words
    assert approval().why not in words


def test_nothing_is_left_behind(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    check([sign(approval(), keys / "approver")], gate(keys), NOW)
    assert list(tmp_path.iterdir()) == []
