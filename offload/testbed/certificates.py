"""Who is who: files of certificates and keys for nodes and devices, and who may connect to whom."""

import os
import re
import shutil
import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from offload.entities import OffloadError
from offload.testbed import files
from offload.testbed.authority import Authority, pem

INSIDE = "certificates"  # of the folder of a testbed
MOST_DAYS, MOST_NAMES = 3650, 1000

# It stands in a certificate as the name of a host, whose letters have no case.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")


class CertificateError(OffloadError):
    """Certificates or keys that cannot be made or used; the message names the file."""


def init(
    folder: Path, nodes: Sequence[str], devices: Sequence[str], days: int = 365, *, force: bool = False
) -> list[Path]:
    """Make certificates and keys for nodes and devices, in a subfolder; return its files.

    authority.pem, who signed them; members/NAME.pem and NAME.key; signing.key, which signs network
    files, and signing.pub; allow.json, who may connect to each node: all devices and all other nodes.
    All are there in the end or none. Raises CertificateError, also where there are some and `force` is
    not given; OSError.
    """
    _check(nodes, devices, days)
    place = folder.resolve() / INSIDE
    if place.is_symlink() or (place.exists() and not _is_ours(place)):
        msg = f"{place}: there is something else of that name; give another folder"
        raise CertificateError(msg)
    if place.exists() and not force:
        msg = f"{place}: there are certificates already; --force makes new ones, and the old are lost"
        raise CertificateError(msg)
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{INSIDE}-", dir=place.parent))  # no one else can enter it
    try:
        _make(aside / "new", nodes, devices, days)
        if place.exists():
            place.rename(aside / "old")
        (aside / "new").rename(place)
    finally:
        if not place.exists() and (aside / "old").exists():
            (aside / "old").rename(place)
        shutil.rmtree(aside)
    return sorted(each for each in place.rglob("*") if each.is_file())


def _make(folder: Path, nodes: Sequence[str], devices: Sequence[str], days: int) -> None:
    for each in (folder, folder / "members"):
        each.mkdir()
        each.chmod(0o700)  # whatever the umask
    authority = Authority.new(days)
    _write(folder / "authority.pem", authority.pem, 0o644)
    for name in (*nodes, *devices):
        certificate, key = authority.issue(name, days, listens=name in nodes)
        _write(folder / "members" / f"{name}.pem", certificate, 0o644)
        _write(folder / "members" / f"{name}.key", key, 0o600)
    signing = ed25519.Ed25519PrivateKey.generate()
    public = signing.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    _write(folder / "signing.key", pem(signing), 0o600)
    _write(folder / "signing.pub", public, 0o644)
    allowed = {node: sorted({*nodes, *devices} - {node}) for node in nodes}
    _write(folder / "allow.json", msgspec.json.format(msgspec.json.encode(allowed)) + b"\n", 0o644)


class Identity:
    """What one node or device shows, and whom it believes: nobody but who has a certificate of theirs.

    Raises CertificateError, as its methods do, for files that are missing, expired, no such files, or
    not safe from others.
    """

    def __init__(self, folder: Path, name: str) -> None:
        if not _NAME.fullmatch(name):
            msg = f"{name!r:.120}: no name that certificates are made for"
            raise CertificateError(msg)
        self.folder = folder / INSIDE
        self.name = name
        self.certificate = self.folder / "members" / f"{name}.pem"
        self.key = self.folder / "members" / f"{name}.key"
        for path in (self.folder / "authority.pem", self.certificate):
            _check_dates(path)
        _bytes(self.key, secret=True)

    def server(self) -> ssl.SSLContext:
        """Return how it listens."""
        return self._tls(ssl.PROTOCOL_TLS_SERVER)

    def client(self) -> ssl.SSLContext:
        """Return how it connects."""
        return self._tls(ssl.PROTOCOL_TLS_CLIENT)

    def allowed(self) -> frozenset[str]:
        """Return who may connect to this node."""
        path = self.folder / "allow.json"
        try:
            found = msgspec.json.decode(_bytes(path), type=dict[str, list[str]])
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            msg = f"{path}: does not say who may connect to which node: {error}"
            raise CertificateError(msg) from error
        if self.name not in found:
            msg = f"{path}: does not say who may connect to {self.name}"
            raise CertificateError(msg)
        return frozenset(found[self.name])

    def _tls(self, side: int) -> ssl.SSLContext:
        tls = ssl.SSLContext(side)
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_3
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.verify_flags |= ssl.VERIFY_X509_STRICT
        if side == ssl.PROTOCOL_TLS_SERVER:
            tls.num_tickets = 0  # every connection shows its certificate anew
        authority = _bytes(self.folder / "authority.pem").decode("ascii", "replace")
        try:
            tls.load_verify_locations(cadata=authority)
            tls.load_cert_chain(self.certificate, self.key, password=_no_password)
        except (OSError, ValueError) as error:
            msg = f"{self.key}: cannot be used with {self.certificate.name}: {error}"
            raise CertificateError(msg) from error
        return tls


def signing_key(folder: Path) -> ed25519.Ed25519PrivateKey:
    """Return what signs the network files of a testbed. Raises CertificateError."""
    path = folder / INSIDE / "signing.key"
    try:
        key = load_pem_private_key(_bytes(path, secret=True), None)
    except (ValueError, TypeError) as error:
        msg = f"{path}: no key that can be read: {error}"
        raise CertificateError(msg) from error
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        msg = f"{path}: no Ed25519 key"
        raise CertificateError(msg)
    return key


def verifying_key(folder: Path) -> ed25519.Ed25519PublicKey:
    """Return what tells whether network files are those that were signed. Raises CertificateError."""
    path = folder / INSIDE / "signing.pub"
    try:
        key = load_pem_public_key(_bytes(path))
    except ValueError as error:
        msg = f"{path}: no key that can be read: {error}"
        raise CertificateError(msg) from error
    if not isinstance(key, ed25519.Ed25519PublicKey):
        msg = f"{path}: no Ed25519 key"
        raise CertificateError(msg)
    return key


def _check(nodes: Sequence[str], devices: Sequence[str], days: int) -> None:
    names, faults = [*nodes, *devices], []
    if not nodes:
        faults.append("no node: give at least one, to which devices connect")
    if len(names) > MOST_NAMES:
        faults.append(f"{len(names)} nodes and devices: write at most {MOST_NAMES}")
    if not 1 <= days <= MOST_DAYS:
        faults.append(f"{days} days: write 1 to {MOST_DAYS}")
    faults += [
        f"{name!r:.120}: write a name of 1 to 63 letters, digits, - and _, the last two not at its ends"
        for name in names[:MOST_NAMES]
        if not _NAME.fullmatch(name)
    ]
    folded: set[str] = set()
    for name in names[:MOST_NAMES]:
        if name.lower() in folded:
            faults.append(f"{name}: the name of two, but for the case of letters; write another")
        folded.add(name.lower())
    if faults:
        raise CertificateError("\n".join(faults))


def _is_ours(place: Path) -> bool:
    return place.is_dir() and {"authority.pem", "allow.json"} <= {each.name for each in place.iterdir()}


def _write(path: Path, content: bytes, mode: int) -> None:
    """Write a file that was not there, at no time readable by more than it should be."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(number, "wb") as file:
        file.write(content)
        os.fchmod(number, mode)  # whatever the umask


def _bytes(path: Path, *, secret: bool = False) -> bytes:
    return files.content(path, CertificateError, "offload testbed init makes it", secret=secret)


def _check_dates(path: Path) -> None:
    try:
        found = x509.load_pem_x509_certificate(_bytes(path))
    except ValueError as error:
        msg = f"{path}: no certificate that can be read: {error}"
        raise CertificateError(msg) from error
    now, again = datetime.now(UTC), "offload testbed init --force makes new ones"
    if now > found.not_valid_after_utc:
        msg = f"{path}: expired on {found.not_valid_after_utc:%Y-%m-%d}; {again}"
        raise CertificateError(msg)
    if now < found.not_valid_before_utc:
        msg = f"{path}: not valid before {found.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; {again}"
        raise CertificateError(msg)


def _no_password() -> str:
    return ""  # OpenSSL would ask for one at the terminal
