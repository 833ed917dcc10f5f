"""The lab's certificate authority and the certificates of its parts."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from labkit.files import write_private

LIFETIME = dt.timedelta(days=365)
RENEW_BEFORE = dt.timedelta(days=30)


@dataclass(frozen=True)
class Authority:
    """A certificate authority that signs for names and addresses of the lab."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def issue(self, names: tuple[str, ...], address: str) -> tuple[str, str]:
        """Return certificate chain and private key (PEM) of a server called ``names`` at ``address``."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        alternatives.append(x509.IPAddress(ipaddress.ip_address(address)))
        builder = (
            _builder(names[0], self.certificate.subject, key.public_key())
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        return _pem(builder.sign(self.key, hashes.SHA256())), _key_pem(key)


def load_or_make_authority(directory: Path) -> Authority:
    """The authority kept in ``directory`` (``ca.pem``, ``ca.key``); made when it is missing or about to expire."""
    certificate_file, key_file = directory / "ca.pem", directory / "ca.key"
    if certificate_file.exists() and key_file.exists():
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        if isinstance(key, ec.EllipticCurvePrivateKey) and not _expires_soon(certificate):
            return Authority(certificate, key)
    return _make_authority(certificate_file, key_file)


def ensure_certificate(authority: Authority, directory: Path, names: tuple[str, ...], address: str) -> None:
    """Keep ``tls.pem`` and ``tls.key`` in ``directory`` valid for ``names`` and ``address`` under ``authority``."""
    certificate_file, key_file = directory / "tls.pem", directory / "tls.key"
    if certificate_file.exists() and key_file.exists():
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        if not _expires_soon(certificate) and _serves(certificate, authority, names, address):
            return
    chain, key = authority.issue(names, address)
    write_private(key_file, key)
    write_private(certificate_file, chain)


def _make_authority(certificate_file: Path, key_file: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "seisei-ops lab authority")])
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        _builder("seisei-ops lab authority", name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(key_file, _key_pem(key))
    write_private(certificate_file, _pem(certificate))
    return Authority(certificate, key)


def _builder(common_name: str, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        # Clocks of containers and machine are one, but a test may set one back.
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + LIFETIME)
    )


def _expires_soon(certificate: x509.Certificate) -> bool:
    return certificate.not_valid_after_utc - dt.datetime.now(dt.UTC) < RENEW_BEFORE


def _serves(certificate: x509.Certificate, authority: Authority, names: tuple[str, ...], address: str) -> bool:
    issued_here = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    if issued_here != x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()):
        return False
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names) <= set(alternatives.get_values_for_type(x509.DNSName)) and ipaddress.ip_address(
        address
    ) in alternatives.get_values_for_type(x509.IPAddress)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
