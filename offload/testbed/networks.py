"""Network files of a testbed: the same weights in every process, from files that are signed."""

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import torch
from cryptography.exceptions import InvalidSignature
from torch import nn

from offload.dnn import compress, small, stored, zoo
from offload.dnn.network import brief
from offload.entities import OffloadError, is_name
from offload.streams import Streams
from offload.testbed import files
from offload.testbed.certificates import signing_key, verifying_key

INSIDE = "networks"  # of the folder of a testbed
MANIFEST = "manifest.json"
FORMS = ("fp32", "bf16", "int8")
AGAIN = "export the networks again"

_CONTEXT = b"offload testbed networks 1\n"  # what else the key may sign is no manifest


class NetworkFileError(OffloadError):
    """A network file that cannot be written, or one that is not what was signed."""


class Entry(msgspec.Struct, frozen=True):
    """A file of the manifest: which network in which form, its bytes, and where its weights are from."""

    model: str
    form: str
    file: str
    sha256: str
    size: int
    source: str


class Signed(msgspec.Struct, frozen=True):
    """A manifest: entries as they stand in the file, and the signature over these very bytes."""

    networks: msgspec.Raw
    signature: str


def export(
    folder: Path,
    wanted: Sequence[tuple[str, str]],
    seed: int = 0,
    weights: Mapping[str, Path] | None = None,
) -> Path:
    """Write networks, pairs of model and form, each into a file; return the signed manifest.

    `weights` are safetensors files by model, of this form or of fp32; without one, what is shipped is
    taken, else weights are drawn, by a seed of the network's own, and int8's ranges are those of noise.
    What lies there already is kept if it is the same, and replaced once the new file is whole. Raises
    NetworkFileError, UnknownNetworkError, StoredError, CertificateError, OSError.
    """
    key = signing_key(folder)
    place = folder / INSIDE
    place.mkdir(mode=0o700, exist_ok=True)
    there = {(each.model, each.form): each for each in _found(folder)}
    entries = []
    for model, form in dict.fromkeys(wanted):
        network = _network(model)
        given = _file(network, form, (weights or {}).get(model))
        source, path = _source(given, seed), place / f"{model}.{form}.safetensors"
        entry = there.get((model, form))
        if entry is None or entry.source != source or not _is_whole(path, entry):
            with _aside(path) as aside:
                _write(aside, network, form, seed, given)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            entry = Entry(model, form, path.name, digest, path.stat().st_size, source)
        entries.append(entry)
    listed = msgspec.json.encode(entries)
    signed = Signed(msgspec.Raw(listed), key.sign(_CONTEXT + listed).hex())
    with _aside(place / MANIFEST) as aside:
        aside.write_bytes(msgspec.json.encode(signed) + b"\n")
    return place / MANIFEST


def load(folder: Path, model: str, form: str) -> nn.Module:
    """Return a network in eval mode, as it was exported.

    The signature of the manifest, and the file's size and digest, are seen to be right before anything
    in the file is read. Raises NetworkFileError; StoredError, CertificateError, UnknownNetworkError.
    """
    for entry in manifest(folder):
        if (entry.model, entry.form) == (model, form):
            break
    else:
        msg = f"{folder / INSIDE / MANIFEST}: {model}:{form:.100} is none of its networks"
        raise NetworkFileError(msg)
    network = _network(model)
    path = folder / INSIDE / entry.file
    if not is_name(entry.file):
        msg = f"{path}: no file of this folder"
        raise NetworkFileError(msg)
    _check(path, entry)
    return _read(path, network)


def manifest(folder: Path) -> list[Entry]:
    """Return what the manifest of a testbed lists, if it is signed. Raises NetworkFileError."""
    path = folder / INSIDE / MANIFEST
    content = files.content(path, NetworkFileError, AGAIN)
    try:
        signed = msgspec.json.decode(content, type=Signed)
        verifying_key(folder).verify(bytes.fromhex(signed.signature), _CONTEXT + bytes(signed.networks))
        return msgspec.json.decode(signed.networks, type=list[Entry])
    except InvalidSignature as error:
        msg = f"{path}: was not signed by the key of this testbed; {AGAIN}"
        raise NetworkFileError(msg) from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        msg = f"{path}: no manifest: {error}"
        raise NetworkFileError(msg) from error


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """Yield a name for a new file, which takes the place of what was there once it is whole."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield aside
        aside.chmod(0o644)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def _found(folder: Path) -> list[Entry]:
    """Return what was exported before; nothing if that is not to be believed."""
    try:
        return manifest(folder)
    except OffloadError:
        return []


def _network(model: str) -> zoo.Network:
    """Return a network by its name: a manifest leads to no other code or file."""
    if model not in zoo.NAMED:
        msg = f"{model:.100}: only networks that have a name here are exported, and it is none of them"
        raise NetworkFileError(msg)
    return zoo.NAMED[model]


def _read(path: Path, network: zoo.Network) -> nn.Module:
    if network.build is None:
        msg = f"{network.name}: has no architecture that weights could go into"
        raise NetworkFileError(msg)
    return stored.read(path, network.build, network.input_shape, network.example(1))


def _file(network: zoo.Network, form: str, given: Path | None) -> Path | None:
    """Return the file that weights are from: one that was given, or is shipped."""
    if given is not None or form not in network.forms:
        return given
    return small.FOLDER / f"{network.name}.{form}.safetensors"


def _source(path: Path | None, seed: int) -> str:
    """Say where weights are from; the same text means the same weights."""
    if path is None:
        return f"seed {seed}, torch {torch.__version__}"
    with path.open("rb") as file:
        return f"{path.name}, sha256 {hashlib.file_digest(file, 'sha256').hexdigest()}"


def _write(path: Path, network: zoo.Network, form: str, seed: int, given: Path | None) -> None:
    """Write a network in a form, with weights of a file that has this form or fp32, or drawn."""
    if given is None and form not in FORMS:
        msg = f"{network.name}:{form:.100}: written are {', '.join(FORMS)} and what is shipped"
        raise NetworkFileError(msg)
    module = _drawn(network, seed) if given is None else _read(given, network)
    if given is not None:
        numbers = stored.about(given).get("numbers", "fp32")
        if numbers == form or form not in FORMS:
            shutil.copyfile(given, path)
            return
        if numbers != "fp32":
            msg = f"{given}: holds {numbers}; {network.name}:{form} is made of {form} or fp32"
            raise NetworkFileError(msg)
    if form == "int8":
        _write_int8(path, module, network)
    else:
        kept = stored.Form(numbers="bf16" if form == "bf16" else "fp32")
        stored.write(path, module, kept, {"model": network.name})


def _drawn(network: zoo.Network, seed: int) -> nn.Module:
    """Return a network whose weights depend on its name and the seed only."""
    number = int(Streams(seed, 0).generator("testbed", "weights", network.name).integers(2**63))
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(number)
        return zoo.variant(network, "fp32")


def _write_int8(path: Path, module: nn.Module, network: zoo.Network) -> None:
    """Write weights and the ranges of values on an example, of which int8 is made."""
    example = network.example(1)
    try:
        watched = compress.watch(module, example)
        with torch.inference_mode():
            watched(*example)
        stored.write(path, watched, stored.Form(numbers="int8"), {"model": network.name})
        compress.convert(watched)
    except OSError:
        raise
    except Exception as error:
        msg = f"{network.name}:int8: torch.ao.quantization cannot convert it ({brief(error)})"
        raise NetworkFileError(msg) from error


def _is_whole(path: Path, entry: Entry) -> bool:
    try:
        _check(path, entry)
    except NetworkFileError:
        return False
    return True


def _check(path: Path, entry: Entry) -> None:
    """See that a file is the one that was signed. Raises NetworkFileError."""
    with files.opened(path, NetworkFileError, AGAIN) as file:
        size = os.fstat(file.fileno()).st_size
        if size != entry.size:
            msg = f"{path}: {size} bytes, where {entry.size} were signed; {AGAIN}"
            raise NetworkFileError(msg)
        if hashlib.file_digest(file, "sha256").hexdigest() != entry.sha256:
            msg = f"{path}: its digest is not the one that was signed; {AGAIN}"
            raise NetworkFileError(msg)
