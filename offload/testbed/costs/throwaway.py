"""Certificates for an hour, to see what mutual TLS costs."""

import datetime as dt
import ssl
from pathlib import Path

NAMES = ("edge", "car-0")


def make(folder: Path) -> None:
    """Write an authority's certificate and, for each name, a key and a certificate of it.

    P-256, as devices and nodes have.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = dt.datetime.now(dt.UTC)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", *NAMES)}
    names = {name: x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in keys}
    for name, key in keys.items():
        own = name == "authority"
        builder = (
            x509.CertificateBuilder()
            .subject_name(names[name])
            .issuer_name(names["authority"])
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        )
        signed = builder.sign(keys["authority"], hashes.SHA256())
        chain = signed.public_bytes(serialization.Encoding.PEM)
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / f"{name}.pem").write_bytes(chain if own else secret + chain)


def server(folder: Path) -> ssl.SSLContext:
    """Return what the peer listens with: TLS 1.3, and who connects must show a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _loaded(context, folder, NAMES[0])


def client(folder: Path) -> ssl.SSLContext:
    """Return what to connect to the peer with."""
    return _loaded(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), folder, NAMES[1])


def _loaded(context: ssl.SSLContext, folder: Path, name: str) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(folder / "authority.pem")
    context.load_cert_chain(folder / f"{name}.pem")
    return context
