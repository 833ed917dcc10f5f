"""Private files, recipes' digests, certificates and secrets: the same input changes nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from labkit import parts, pki, secrets, signers
from labkit.files import digest_of_tree, write_private
from labkit.settings import Lab

from plugins.module_utils.model.document import Node
from plugins.module_utils.model.errors import OpsError
from plugins.module_utils.model.gate import parse_gate
from plugins.module_utils.model.statement import APPROVED, VERIFIED


def test_a_private_file_is_written_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secret"
    assert write_private(path, "value") is True
    assert write_private(path, "value") is False
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["secret"]


def test_a_file_that_was_opened_to_others_is_closed_again(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    write_private(path, "value")
    path.chmod(0o644)
    assert write_private(path, "value") is True
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_digest_of_a_recipe_follows_content_and_mode_and_nothing_else(tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text("true\n")
    first = digest_of_tree(tmp_path)
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_text("compiled")
    assert digest_of_tree(tmp_path) == first
    script.chmod(0o755)
    executable = digest_of_tree(tmp_path)
    assert executable != first
    script.write_text("false\n")
    assert digest_of_tree(tmp_path) != executable


def test_an_authority_is_kept_and_its_certificates_name_the_address(tmp_path: Path) -> None:
    authority = pki.load_or_make_authority(tmp_path / "ca")
    again = pki.load_or_make_authority(tmp_path / "ca")
    assert again.certificate == authority.certificate

    pki.ensure_certificate(authority, tmp_path, ("registry.lab",), "10.213.0.3")
    first = (tmp_path / "tls.pem").read_bytes()
    certificate = x509.load_pem_x509_certificate(first)
    certificate.verify_directly_issued_by(authority.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["registry.lab"]
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["10.213.0.3"]

    pki.ensure_certificate(authority, tmp_path, ("registry.lab",), "10.213.0.3")
    assert (tmp_path / "tls.pem").read_bytes() == first


def test_a_certificate_is_issued_anew_for_another_address_or_authority(tmp_path: Path) -> None:
    authority = pki.load_or_make_authority(tmp_path / "ca")
    pki.ensure_certificate(authority, tmp_path, ("aws.lab",), "10.213.0.4")
    first = (tmp_path / "tls.pem").read_bytes()
    pki.ensure_certificate(authority, tmp_path, ("aws.lab",), "10.219.0.4")
    second = (tmp_path / "tls.pem").read_bytes()
    assert second != first
    other = pki.load_or_make_authority(tmp_path / "other")
    pki.ensure_certificate(other, tmp_path, ("aws.lab",), "10.219.0.4")
    issued = x509.load_pem_x509_certificate((tmp_path / "tls.pem").read_bytes())
    issued.verify_directly_issued_by(other.certificate)
    assert isinstance(issued.public_key(), ec.EllipticCurvePublicKey)


def test_secrets_are_generated_once_and_differ_between_environments(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    made = secrets.load_or_make_secrets(path)
    assert secrets.load_or_make_secrets(path) == made
    assert made["staging/odoo18-database-password"] != made["production/odoo18-database-password"]
    assert made["staging/registry-password"] == made["production/registry-password"]
    assert set(json.loads(made["staging/backup-storage"])) == {"access_key", "secret_key"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_secret_that_is_missing_is_added_and_the_others_stay() -> None:
    made = secrets.complete({"staging/backup-password": "kept", "production/registry-password": "login"})
    assert made["staging/backup-password"] == "kept"
    assert made["staging/registry-password"] == made["production/registry-password"] == "login"
    assert {name.split("/")[1] for name in made} == set(secrets.NAMES)


def test_secrets_that_cannot_be_read_are_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text('{"staging/')
    with pytest.raises(OpsError, match="no JSON"):
        secrets.load_or_make_secrets(path)
    assert path.read_text() == '{"staging/'


def test_a_scram_verifier_accepts_the_password_and_does_not_hold_it() -> None:
    verifier = secrets.scram_verifier("correct horse", "staging/odoo")
    match = re.fullmatch(r"SCRAM-SHA-256\$4096:([^$]+)\$([^:]+):(.+)", verifier)
    assert match
    salt, stored_key, _ = (base64.b64decode(part) for part in match.groups())
    salted = hashlib.pbkdf2_hmac("sha256", b"correct horse", salt, 4096)
    assert hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest() == stored_key
    assert secrets.scram_verifier("correct horse", "staging/odoo") == verifier
    assert secrets.scram_verifier("correct horse", "production/odoo") != verifier


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_no_password_reaches_a_servers_files_in_the_clear(environment: str) -> None:
    made = secrets.complete({})
    sql = parts.roles_sql(environment, made)
    assert sql.count("SCRAM-SHA-256$") == 2
    assert not any(value in sql for value in made.values())


def test_every_name_of_an_environment_leads_to_its_host() -> None:
    lines = parts.dns_configuration(Lab()).splitlines()
    assert "address=/staging.lab/10.213.0.11" in lines
    assert "address=/production.lab/10.213.0.12" in lines
    assert "address=/postgres.production.lab/10.213.0.7" in lines
    assert "address=/demo.nagashiro.lab/10.213.0.12" in lines
    assert "address=/demo.staging.nagashiro.lab/10.213.0.11" in lines
    assert "local=/lab/" in lines


def test_signers_of_the_lab_are_made_once_and_are_what_a_gate_takes(tmp_path: Path) -> None:
    lab = Lab(root=tmp_path)
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB0mnzxWUCxgDpUDyLNiM6stEVmeMGMZRrfVuNcPtgl0"
    write_private(lab.build / "ssh" / "known_hosts", f"10.213.0.11,staging-1.lab,staging-1 {key}\n")
    folder = signers.write_signers(lab)
    text = (folder / "allowed_signers").read_text()
    assert signers.write_signers(lab) == folder
    assert (folder / "allowed_signers").read_text() == text
    node = Node({"allowed_signers": text}, "gate")
    gate = parse_gate(node)
    assert node.errors == []
    assert gate.who_may(APPROVED) == ("approver", "developer")
    assert gate.who_may(VERIFIED) == ("staging-1",)
    assert stat.S_IMODE((folder / "developer").stat().st_mode) == 0o600
