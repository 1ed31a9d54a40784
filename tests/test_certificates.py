"""Certificates: what is made, who can read it, and what of it is refused."""

import os
import ssl
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from offload.testbed import certificates
from offload.testbed.authority import Authority
from offload.testbed.certificates import CertificateError, Identity, init

NODES, DEVICES = ["cabinet", "region"], ["car-0", "car-1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    init(tmp_path, NODES, DEVICES)
    return tmp_path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def test_only_their_owner_can_read_keys_whatever_the_umask(tmp_path: Path, umask: None) -> None:
    made = init(tmp_path, NODES, DEVICES)
    inside = tmp_path / "certificates"
    assert {each.relative_to(inside).as_posix() for each in made} == {
        "allow.json", "authority.pem", "signing.key", "signing.pub",
        *(f"members/{name}.{kind}" for name in NODES + DEVICES for kind in ("key", "pem")),
    }  # fmt: skip
    assert {mode(each) for each in made if each.suffix == ".key"} == {0o600}
    assert {mode(each) for each in made if each.suffix != ".key"} == {0o644}
    assert {mode(each) for each in (inside, inside / "members")} == {0o700}
    assert Identity(tmp_path, "car-0").client()
    assert [each.name for each in tmp_path.iterdir()] == ["certificates"]


def test_a_certificate_is_for_a_name_and_only_nodes_may_listen(folder: Path) -> None:
    for name in NODES + DEVICES:
        found = x509.load_pem_x509_certificate(Identity(folder, name).certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [name]
        roles = set(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        assert ExtendedKeyUsageOID.CLIENT_AUTH in roles
        assert (ExtendedKeyUsageOID.SERVER_AUTH in roles) == (name in NODES)
        assert found.public_key().curve.name == "secp256r1"
        assert found.not_valid_after_utc - datetime.now(UTC) < timedelta(days=365)


def test_both_sides_ask_for_a_certificate_and_speak_tls_1_3_only(folder: Path) -> None:
    identity = Identity(folder, "cabinet")
    for tls in (identity.server(), identity.client()):
        assert tls.verify_mode == ssl.CERT_REQUIRED
        assert tls.minimum_version == tls.maximum_version == ssl.TLSVersion.TLSv1_3
        assert [dict(sum(each["subject"], ()))["commonName"] for each in tls.get_ca_certs()] == [
            "offload testbed"
        ]
    assert identity.client().check_hostname


def test_all_devices_and_the_other_nodes_may_connect_to_a_node(folder: Path) -> None:
    assert Identity(folder, "cabinet").allowed() == {"region", "car-0", "car-1"}
    with pytest.raises(CertificateError, match=r"allow.json: does not say .* to car-0"):
        Identity(folder, "car-0").allowed()


def test_what_is_there_is_kept_unless_it_is_forced(folder: Path) -> None:
    key = Identity(folder, "car-0").key
    before = key.read_bytes()
    with pytest.raises(CertificateError, match="already; --force"):
        init(folder, NODES, DEVICES)
    assert key.read_bytes() == before
    (folder / "beside").write_text("mine")
    init(folder, NODES, ["car-0"], force=True)
    assert key.read_bytes() != before
    assert not Identity(folder, "cabinet").certificate.with_name("car-1.key").exists()
    assert sorted(each.name for each in folder.iterdir()) == ["beside", "certificates"]


@pytest.mark.parametrize("force", [False, True])
def test_what_fails_half_way_leaves_everything_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, force: bool
) -> None:
    def full(path: Path, content: bytes, mode: int) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(certificates, "_write", full)
    place = folder if force else folder / "other"
    with pytest.raises(OSError, match="No space"):
        init(place, NODES, DEVICES, force=force)
    assert Identity(folder, "cabinet").server()
    assert [each.name for each in place.iterdir()] == (["certificates"] if force else [])


def test_a_new_folder_that_cannot_take_its_place_leaves_the_old(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError(5, "Input/output error", str(self))
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="Input"):
        init(folder, NODES, DEVICES, force=True)
    assert Identity(folder, "cabinet").server()


@pytest.mark.parametrize("link", [False, True])
def test_what_is_not_ours_is_not_replaced(tmp_path: Path, link: bool) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "thesis.txt").write_text("mine")
    place = tmp_path / "certificates"
    place.symlink_to("real") if link else (tmp_path / "real").rename(place)
    with pytest.raises(CertificateError, match="something else"):
        init(tmp_path, NODES, DEVICES, force=True)
    assert (place / "thesis.txt").read_text() == "mine"


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(CertificateError) as caught:
        init(tmp_path / "new", [], ["car-0", "Car-0", "../up", "a b", "-x", "x" * 64, "é", "a.b", ""], 0)
    assert str(caught.value).splitlines() == [
        "no node: give at least one, to which devices connect",
        "0 days: write 1 to 3650",
        *(
            f"{name!r}: write a name of 1 to 63 letters, digits, - and _, the last two not at its ends"
            for name in ("../up", "a b", "-x", "x" * 64, "é", "a.b", "")
        ),
        "Car-0: the name of two, but for the case of letters; write another",
    ]
    assert not (tmp_path / "new").exists()


def test_names_are_not_too_many(tmp_path: Path) -> None:
    with pytest.raises(CertificateError) as caught:
        init(tmp_path / "new", ["a"], [f"car-{number}" for number in range(200_000)])
    assert str(caught.value) == "200001 nodes and devices: write at most 1000"


def swap(path: Path) -> None:
    path.write_bytes(path.with_name(path.name.replace("car-0", "car-1")).read_bytes())


def link(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


SPOILED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no-certificate": ("members/car-0.pem", Path.unlink, "No such file"),
    "no-key": ("members/car-0.key", Path.unlink, "No such file"),
    "no-authority": ("authority.pem", Path.unlink, "No such file"),
    "readable": ("members/car-0.key", lambda path: path.chmod(0o640), r"may read .* 640\); chmod 600"),
    "writable": ("authority.pem", lambda path: path.chmod(0o666), r"may write .* 666\); chmod 644"),
    "open-folder": ("members/car-0.pem", lambda path: path.parent.chmod(0o770), r"its folder .* 770\)"),
    "link": ("members/car-0.key", link, "symbolic links"),
    "fifo": ("members/car-0.key", fifo, "no file"),
    "folder": ("authority.pem", lambda path: (path.unlink(), path.mkdir()), "irectory|no file"),
    "empty": (
        "members/car-0.pem",
        lambda path: path.write_bytes(b""),
        "no certificate that can be read",
    ),
    "no-text": ("authority.pem", lambda path: path.write_bytes(b"\xff\x00"), "no certificate that can"),
    "huge": ("authority.pem", lambda path: os.truncate(path, 10**12), "more than 1000000 bytes"),
    "not-its-key": ("members/car-0.key", swap, "cannot be used with car-0.pem"),
    "no-such-key": ("members/car-0.key", lambda path: path.write_bytes(b"?"), "cannot be used with"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_files_that_cannot_be_used_are_told_of_in_a_line(folder: Path, name: str) -> None:
    file, spoil, told = SPOILED[name]
    spoil(folder / "certificates" / file)
    with pytest.raises(CertificateError, match=told) as caught:
        Identity(folder, "car-0").client()
    assert file in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_key_with_a_password_asks_nobody(folder: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
    )

    locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    identity = Identity(folder, "car-0")
    identity.key.write_bytes(locked)
    with pytest.raises(CertificateError, match="cannot be used"):
        identity.client()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"cabinet": 3}', b"\xff", b"[" * 100_000, b'{"region": ["car-0"]}']
)
def test_a_list_that_cannot_be_read_lets_nobody_in(folder: Path, content: bytes) -> None:
    identity = Identity(folder, "cabinet")
    (folder / "certificates" / "allow.json").write_bytes(content)
    with pytest.raises(CertificateError, match=r"allow\.json: does not say who may connect"):
        identity.allowed()


@pytest.mark.parametrize("which", ["authority.pem", "members/car-0.pem"])
@pytest.mark.parametrize(("days", "told"), [(-40, "expired on 20"), (40, "not valid before 20")])
def test_a_certificate_has_its_time(folder: Path, which: str, days: int, told: str) -> None:
    begins = datetime.now(UTC) + timedelta(days=days)
    authority = Authority.new(30, begins)
    found = (
        authority.pem
        if which == "authority.pem"
        else authority.issue("car-0", 30, listens=False, begins=begins)[0]
    )
    (folder / "certificates" / which).write_bytes(found)
    with pytest.raises(CertificateError, match=f"{which}: {told}.*--force"):
        Identity(folder, "car-0")


@pytest.mark.parametrize("name", ["../signing", "", "car-0/", "/etc/passwd", "car 0"])
def test_a_name_cannot_lead_elsewhere(folder: Path, name: str) -> None:
    with pytest.raises(CertificateError, match="no name that certificates are made for"):
        Identity(folder, name)


def test_keys_that_sign_network_files_are_read_and_refused(folder: Path) -> None:
    key, verifying = certificates.signing_key(folder), certificates.verifying_key(folder)
    verifying.verify(key.sign(b"said"), b"said")
    inside = folder / "certificates"
    for own, path, read in (
        (inside / "members/car-0.key", inside / "signing.key", certificates.signing_key),
        (inside / "authority.pem", inside / "signing.pub", certificates.verifying_key),
    ):
        path.write_bytes(own.read_bytes())
        with pytest.raises(CertificateError, match=f"{path.name}: no "):
            read(folder)
        path.unlink()
        with pytest.raises(CertificateError, match=f"{path.name}: No such file"):
            read(folder)
    (inside / "signing.key").write_bytes(key.private_bytes_raw())
    (inside / "signing.key").chmod(0o600)
    with pytest.raises(CertificateError, match="no key that can be read"):
        certificates.signing_key(folder)
