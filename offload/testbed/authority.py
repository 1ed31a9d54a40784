"""An authority of one's own, which signs the certificates of a testbed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SKEW = timedelta(minutes=5)  # between clocks
_USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
    "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Authority:
    """Signs certificates of P-256 keys. Its own key is kept nowhere: nobody can add any later."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, days: float, begins: datetime | None = None) -> "Authority":
        """Make one whose certificate is valid for so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name("offload testbed")
        made = _begun(name, name, key, key, days, begins)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        made = made.add_extension(_usage("key_cert_sign", "crl_sign"), critical=True)
        return cls(key, made.sign(key, hashes.SHA256()))

    @property
    def pem(self) -> bytes:
        """Its certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self, name: str, days: float, *, listens: bool, begins: datetime | None = None
    ) -> tuple[bytes, bytes]:
        """Return a certificate and its key as PEM; only one who `listens` may be a server."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _begun(_name(name), self.certificate.subject, key, self.key, days, begins)
        roles = [ExtendedKeyUsageOID.CLIENT_AUTH]
        if listens:
            roles.append(ExtendedKeyUsageOID.SERVER_AUTH)
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        made = made.add_extension(_usage("digital_signature"), critical=True)
        made = made.add_extension(x509.ExtendedKeyUsage(roles), critical=False)
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        return made.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM), pem(key)


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    """Return a private key as it lies in a file."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    days: float,
    begins: datetime | None,
) -> x509.CertificateBuilder:
    """Return what all certificates say (RFC 5280): whose, by whom, since and until when, which keys."""
    begins = begins or datetime.now(UTC)
    made = x509.CertificateBuilder(
        issuer, subject, key.public_key(), x509.random_serial_number(),
        begins - _SKEW, begins + timedelta(days=days),
    )  # fmt: skip
    its = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    theirs = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    return made.add_extension(its, critical=False).add_extension(theirs, critical=False)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*given: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{use: use in given for use in _USES})
