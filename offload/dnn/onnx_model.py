"""A network as an ONNX model, in its own numbers or in 8 bits, and a session that runs it."""

import contextlib
import importlib.util
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from offload.dnn import zoo
from offload.dnn.capturing import quiet, why
from offload.dnn.network import Network
from offload.entities import OffloadError

Inputs = tuple[Tensor, ...]


class ExportError(OffloadError):
    """A network that cannot be written in a format, or a file that its runtime does not load."""


def onnx_model(
    network: Network, variant: str, batch: int, calibration: Iterable[Inputs] | None = None
) -> bytes:
    """Return a variant as a model for a batch of this size.

    For int8 the fp32 network is quantised as ONNX Runtime does it (`quantised`): it is not the int8
    network of PyTorch. Ranges come from `calibration`, batches of the same size; from one batch of noise
    where there is none. Raises ExportError.
    """
    example = network.example(batch)
    label = f"{network.name}:{variant}"
    if variant != "int8":
        return exported(label, zoo.variant(network, variant), example)
    plain = exported(label, zoo.variant(network, "fp32"), example)
    return quantised(label, plain, calibration or (example,))


def exported(label: str, network: nn.Module, example: Inputs) -> bytes:
    """Return a module as an ONNX model, by torch.onnx. Raises ExportError."""
    _needs("onnx", "onnxscript")
    try:
        with quiet(), _unwarned():
            program = torch.onnx.export(network, example, dynamo=True, verbose=False)
        if program is None:
            msg = "it returned nothing"
            raise RuntimeError(msg)  # noqa: TRY301 - told like what it raises
        model: bytes = program.model_proto.SerializeToString()
    except Exception as error:
        msg = f"{label}: torch.onnx cannot export it: {why(_root(error))}"
        raise ExportError(msg) from error
    return model


def quantised(label: str, model: bytes, calibration: Iterable[Inputs]) -> bytes:
    """Return a model with 8-bit weights, scaled by channel, and 8-bit values, ranges from calibration.

    Operators stand between pairs of QuantizeLinear and DequantizeLinear (QDQ), which ONNX Runtime fuses
    with them where it has such kernels. Raises ExportError.
    """
    _needs("onnx", "onnxruntime")
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.registry import QDQRegistry

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]  # it has no types
        """Hands out the calibration batches by name."""

        def __init__(self, names: Sequence[str]) -> None:
            self.batches = (_feeds(names, inputs) for inputs in calibration)

        def get_next(self) -> dict[str, Any] | None:
            return next(self.batches, None)

    loaded = onnx.load_from_string(model)
    # Norms that no convolution took in stay as they are: by channel they cannot be quantised.
    kinds = [kind for kind in QDQRegistry if "Normalization" not in kind]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        try:
            with quiet(), _unwarned():
                quantization.quantize_static(
                    loaded,
                    path,
                    Reader([each.name for each in loaded.graph.input]),
                    quant_format=quantization.QuantFormat.QDQ,
                    op_types_to_quantize=kinds,
                    per_channel=True,
                    activation_type=quantization.QuantType.QUInt8,
                    weight_type=quantization.QuantType.QInt8,
                )
        except Exception as error:
            msg = f"{label}: ONNX Runtime cannot quantise it: {type(error).__name__}: {error}"
            raise ExportError(msg) from error
        return path.read_bytes()


class Session:
    """A model loaded by ONNX Runtime on the CPU; it takes and returns tensors.

    With `notes`, a folder, it writes down there what it made of the graph (`optimised.onnx`) and, until
    `close_profile`, how long each node took. Raises ExportError for a model that it does not load.
    """

    def __init__(
        self, label: str, model: bytes | Path, threads: int = 1, notes: Path | None = None
    ) -> None:
        _needs("onnxruntime")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3  # errors
        if notes:
            options.optimized_model_filepath = str(notes / "optimised.onnx")
            options.enable_profiling, options.profile_file_prefix = True, str(notes / "nodes")
        given = model if isinstance(model, bytes) else str(model)
        try:
            self.session = onnxruntime.InferenceSession(given, options, ["CPUExecutionProvider"])
        except Exception as error:
            msg = f"{label}: ONNX Runtime does not load it: {(str(error).splitlines() or [''])[0]:.300}"
            raise ExportError(msg) from error
        self.names = [each.name for each in self.session.get_inputs()]

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Run it once."""
        return tuple(map(torch.from_numpy, self.session.run(None, _feeds(self.names, inputs))))

    def runner(self, inputs: Inputs) -> Callable[[], object]:
        """Return a function that runs it on these inputs and converts nothing."""
        feeds = _feeds(self.names, inputs)
        return lambda: self.session.run(None, feeds)

    def close_profile(self) -> Path:
        """Return the file of the nodes' times so far; from now on none are taken."""
        return Path(self.session.end_profiling())


def _feeds(names: Sequence[str], inputs: Inputs) -> dict[str, Any]:
    return {name: value.numpy() for name, value in zip(names, inputs, strict=True)}


def _root(error: BaseException) -> BaseException:
    """The error that an exporter wrapped in pages of advice."""
    return _root(error.__cause__) if error.__cause__ else error


@contextlib.contextmanager
def _unwarned() -> Iterator[None]:
    with warnings.catch_warnings():  # exporters call what torch itself has deprecated
        warnings.simplefilter("ignore")
        yield


def _needs(*packages: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            msg = f'{package} is not installed: pip install "offload[zoo]"'
            raise ExportError(msg)
