"""A certificate for this machine, by an authority that is made up for it."""

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """Two files in PEM.

    Attributes:
        authority: who trusts it, as with `SSL_CERT_FILE`, trusts the certificate.
        identity: the server's key and certificate.
    """

    authority: Path
    identity: Path

    def context(self) -> ssl.SSLContext:
        """Return the context for a server that is written in Python."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.identity)
        return context


def make_certificate(folder: Path, *names: str, days: tuple[int, int] = (-1, 1)) -> Certificate:
    """Make one for 127.0.0.1 and those names alone: not for localhost.

    Args:
        names: further hosts.
        days: between which the server's is good, from now.
    """
    made = Certificate(authority=folder / "authority.pem", identity=folder / "identity.pem")
    own_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority = _certificate("authority", own_key).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )
    hosts: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    hosts += [x509.DNSName(name) for name in names]
    server = _certificate("server", key, days).add_extension(
        x509.SubjectAlternativeName(hosts), critical=False
    )
    pem = Encoding.PEM
    made.authority.write_bytes(authority.sign(own_key, hashes.SHA256()).public_bytes(pem))
    made.identity.write_bytes(
        key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption())
        + server.sign(own_key, hashes.SHA256()).public_bytes(pem)
    )
    return made


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, days: tuple[int, int] = (-1, 1)
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name("authority"))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + timedelta(days=days[0]))
        .not_valid_after(now + timedelta(days=days[1]))
    )


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
