"""Network files: the same network in every process, and whatever was not signed is refused unread."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import torch

from offload.dnn import small, stored, zoo
from offload.testbed import networks
from offload.testbed.certificates import CertificateError, init
from offload.testbed.networks import NetworkFileError, export, load

WANTED = [
    ("squeezenet", "fp32"), ("squeezenet", "int8"),
    ("fashion-cnn", "fp32"), ("fashion-cnn", "int8"), ("fashion-cnn", "exits"), ("fashion-cnn", "bf16"),
]  # fmt: skip
FILE = "fashion-cnn.fp32.safetensors"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Sums, and so the last bits, depend on how many threads there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("testbed")
    init(made, ["node"], [])
    export(made, WANTED)
    return made


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy of which something may be spoiled."""
    for each in ("certificates", "networks"):
        shutil.copytree(
            exported / each, tmp_path / each, ignore=shutil.ignore_patterns("squeezenet.*", "*.exits.*")
        )
    return tmp_path


def answers(folder: Path, model: str, form: str) -> bytes:
    """Return all bits of what a loaded network answers to its example."""
    torch.set_num_threads(1)
    with torch.inference_mode():
        made = load(folder, model, form)(*zoo.network(model).example(1))
    found = made if isinstance(made, list | tuple) else [made]
    return b"".join(each.float().numpy().tobytes() for each in found)


def test_every_process_has_the_same_network(exported: Path) -> None:
    says = f"""
import sys, importlib.util
spec = importlib.util.spec_from_file_location("tests_networks", {__file__!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
for model, form in module.WANTED:
    print(module.answers(module.Path({str(exported)!r}), model, form).hex())
"""
    done = subprocess.run([sys.executable, "-c", says], check=True, capture_output=True, text=True)
    there = [bytes.fromhex(line) for line in done.stdout.split()]
    assert there == [answers(exported, *each) for each in WANTED]
    assert len({*there}) == len(WANTED)


def test_a_network_comes_back_as_it_was_built(exported: Path) -> None:
    network = zoo.network("squeezenet")
    built = networks._drawn(network, 0)
    example = network.example(1)
    with torch.inference_mode():
        assert torch.equal(built(*example), load(exported, "squeezenet", "fp32")(*example))
        int8 = zoo.compress.int8(built, example)
        assert torch.equal(int8(*example), load(exported, "squeezenet", "int8")(*example))
        for form in ("fp32", "int8", "bf16"):
            example = zoo.network("fashion-cnn").example(2)
            assert torch.equal(small.load(form)(*example), load(exported, "fashion-cnn", form)(*example))


def test_drawn_weights_depend_on_the_seed_and_disturb_no_other_chance(tmp_path: Path) -> None:
    network = zoo.network("squeezenet")
    before = torch.get_rng_state()
    one, same, other = (networks._drawn(network, seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one if name.endswith("conv.weight"))


def test_what_is_there_and_whole_is_kept(folder: Path) -> None:
    wanted = [("fashion-cnn", "fp32"), ("fashion-cnn", "int8")]
    inside = folder / "networks"
    export(folder, wanted)
    before = {each.name: each.stat().st_mtime_ns for each in inside.glob("*.safetensors")}
    (inside / FILE).write_bytes(b"spoiled")
    export(folder, wanted)
    after = {each.name: each.stat().st_mtime_ns for each in inside.glob("*.safetensors")}
    assert {name for name in before if before[name] != after[name]} == {FILE}
    assert answers(folder, "fashion-cnn", "fp32")
    assert [each.form for each in networks.manifest(folder)] == ["fp32", "int8"]
    assert {each.name for each in inside.iterdir()} >= {"manifest.json", FILE}
    assert not list(inside.glob(".*"))


def test_only_their_owner_can_write_to_them(folder: Path) -> None:
    shutil.rmtree(folder / "networks")
    before = os.umask(0)
    try:
        export(folder, [("fashion-cnn", "fp32"), ("fashion-cnn", "int8")])
    finally:
        os.umask(before)
    assert (folder / "networks").stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in (folder / "networks").iterdir()} == {0o644}


def test_given_weights_are_used_in_their_form_and_in_int8(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    own = small.build().eval()
    path = tmp_path / "own.safetensors"
    stored.write(path, own, stored.Form(), {})
    export(folder, [("fashion-cnn", "fp32"), ("fashion-cnn", "int8")], weights={"fashion-cnn": path})
    example = zoo.network("fashion-cnn").example(1)
    with torch.inference_mode():
        expected = own(*example)
        assert torch.equal(load(folder, "fashion-cnn", "fp32")(*example), expected)
        int8 = load(folder, "fashion-cnn", "int8")(*example)
    assert 0 < (int8 - expected).abs().max() < 0.1 * expected.abs().max()


def test_weights_that_do_not_fit_are_told_of(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(stored.StoredError, match="does not fit"):
        export(folder, [("squeezenet", "fp32")], weights={"squeezenet": small.FOLDER / FILE})
    with pytest.raises(NetworkFileError, match="holds int8; fashion-cnn:fp32 is made of fp32"):
        export(
            folder,
            [("fashion-cnn", "fp32")],
            weights={"fashion-cnn": small.FOLDER / "fashion-cnn.int8.safetensors"},
        )
    with pytest.raises(NetworkFileError, match="squeezenet:pruned-50: written are fp32"):
        export(folder, [("squeezenet", "pruned-50")])
    with pytest.raises(NetworkFileError, match="only networks that have a name"):
        export(folder, [("os:system", "fp32")])
    with pytest.raises(NetworkFileError, match="vit-b16:int8: torch"):
        networks._write_int8(tmp_path / "x", torch.nn.Module(), zoo.network("vit-b16"))


def test_what_cannot_be_written_leaves_what_is_there(folder: Path, tmp_path: Path) -> None:
    inside = folder / "networks"
    before = {each.name: each.read_bytes() for each in inside.iterdir()}
    torch.manual_seed(3)
    stored.write(tmp_path / "own.safetensors", torch.nn.Linear(2, 2), stored.Form(), {})
    with pytest.raises(stored.StoredError, match="does not fit"):
        export(folder, [("fashion-cnn", "fp32")], weights={"fashion-cnn": tmp_path / "own.safetensors"})
    assert {each.name: each.read_bytes() for each in inside.iterdir()} == before


def test_a_file_that_was_exported_may_be_given_as_weights(folder: Path) -> None:
    given = folder / "networks" / FILE
    before = given.read_bytes()
    export(folder, [("fashion-cnn", "fp32")], weights={"fashion-cnn": given})
    assert given.read_bytes() == before
    assert load(folder, "fashion-cnn", "fp32")


def flipped(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def resigned(folder: Path, **changes: object) -> None:
    """Sign another manifest with the testbed's own key."""
    (entry,) = (each for each in networks.manifest(folder) if each.file == FILE)
    listed = msgspec.json.encode([msgspec.structs.replace(entry, **changes)])
    signature = networks.signing_key(folder).sign(networks._CONTEXT + listed).hex()
    signed = networks.Signed(msgspec.Raw(listed), signature)
    (folder / "networks" / "manifest.json").write_bytes(msgspec.json.encode(signed))


def foreign(folder: Path) -> None:
    """Sign the same with the key of another testbed."""
    other = folder / "other"
    init(other, ["node"], [])
    export(other, [("fashion-cnn", "fp32")])
    shutil.copy(other / "networks" / "manifest.json", folder / "networks" / "manifest.json")


def links(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def swapped(inside: Path) -> None:
    (inside / "fashion-cnn.bf16.safetensors").replace(inside / FILE)


def listing(inside: Path, **changes: object) -> None:
    """Change an entry without signing it anew."""
    path = inside / "manifest.json"
    told = msgspec.json.decode(path.read_bytes())
    for each in told["networks"]:
        each.update(changes)
    path.write_bytes(msgspec.json.encode(told))


def manifested(content: bytes) -> Callable[[Path], object]:
    return lambda inside: (inside / "manifest.json").write_bytes(content)


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "wrong-digest": (lambda inside: flipped(inside / FILE, -1), "its digest is not the one"),
    "wrong-head": (lambda inside: flipped(inside / FILE, 0), "its digest is not the one"),
    "truncated": (lambda inside: os.truncate(inside / FILE, 1000), "1000 bytes, where .* were signed"),
    "longer": (lambda inside: os.truncate(inside / FILE, 10**6), "bytes, where .* were signed"),
    "swapped": (swapped, "its digest is not|bytes, where"),
    "missing": (lambda inside: (inside / FILE).unlink(), "No such file"),
    "link": (lambda inside: links(inside / FILE), "symbolic links"),
    "writable": (lambda inside: (inside / FILE).chmod(0o666), "others may write it"),
    "open-folder": (lambda inside: inside.chmod(0o777), r"others may write to its folder"),
    "other-key": (lambda inside: foreign(inside.parent), "was not signed by the key"),
    "changed-size": (lambda inside: listing(inside, size=1), "was not signed by the key"),
    "changed-form": (lambda inside: listing(inside, form="fp32"), "was not signed by the key"),
    "no-manifest": (lambda inside: (inside / "manifest.json").unlink(), "No such file"),
    "empty": (manifested(b""), "no manifest"),
    "no-json": (manifested(b"\x80\x04N."), "no manifest"),
    "nested": (manifested(b"[" * 100_000), "no manifest"),
    "no-signature": (manifested(b'{"networks": [], "signature": ""}'), "was not signed"),
    "no-hex": (manifested(b'{"networks": [], "signature": "xyz"}'), "no manifest"),
    "huge": (lambda inside: os.truncate(inside / "manifest.json", 10**12), "more than 1000000"),
    "elsewhere": (lambda inside: resigned(inside.parent, file="../x"), "no file of this folder"),
    "another": (lambda inside: resigned(inside.parent, form="int8"), "is none of its networks"),
    "signed-nonsense": (lambda inside: resigned(inside.parent, size=-1), "bytes, where -1 were signed"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_what_was_not_signed_is_refused_unread(
    folder: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: object) -> None:
        pytest.fail("it was read")

    spoil, told = SPOILED[name]
    spoil(folder / "networks")
    monkeypatch.setattr(stored, "_open", read)
    with pytest.raises(NetworkFileError, match=told) as caught:
        load(folder, "fashion-cnn", "fp32")
    assert len(str(caught.value).splitlines()) == 1


def test_a_manifest_that_was_signed_leads_to_no_code(folder: Path) -> None:
    resigned(folder, model="os:system", form="fp32")
    with pytest.raises(NetworkFileError, match="only networks that have a name"):
        load(folder, "os:system", "fp32")


def test_without_keys_nothing_is_written_or_read(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "bare").mkdir()
    with pytest.raises(CertificateError, match=r"signing\.key: No such file.*init"):
        export(tmp_path / "bare", WANTED)
    assert not list((tmp_path / "bare").iterdir())
    (folder / "certificates" / "signing.pub").unlink()
    with pytest.raises(CertificateError, match=r"signing\.pub: No such file"):
        load(folder, "fashion-cnn", "fp32")
