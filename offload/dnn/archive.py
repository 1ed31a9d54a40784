"""The file that torch.export.save writes, as far as it is read: JSON, and tensors as raw numbers."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

MAX_BYTES = 4_000_000_000
MAX_JSON_BYTES = 64_000_000  # the graph of ResNet-152 has 4 million

# As `torch._export.serde.schema` numbers them.
DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64, 6: torch.float16,
    7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip


class Refusal(Exception):  # noqa: N818 - it becomes an error once it knows the file
    """Why a file is not read."""


@dataclass
class Archive:
    """An open file; its records lie below a folder that bears any name."""

    zip: zipfile.ZipFile
    _tensors: dict[tuple[Any, ...], torch.Tensor] = field(default_factory=dict)

    def json(self, name: str) -> Any:  # noqa: ANN401 - JSON
        """Read a record of JSON."""
        return json.loads(self._record(name, MAX_JSON_BYTES))

    def state(self) -> dict[str, torch.Tensor]:
        """Read weights, buffers and constants by name."""
        found = {}
        for folder, config in (
            ("data/weights", "model_weights_config.json"),
            ("data/constants", "model_constants_config.json"),
        ):
            for name, told in self.json(f"{folder}/{config}")["config"].items():
                if told["use_pickle"]:
                    msg = f"{name} is pickled, which is never read"
                    raise Refusal(msg)
                found[name] = self._tensor(f"{folder}/{told['path_name']}", told)
        return found

    def _record(self, name: str, most: int) -> bytes:
        names = self.zip.namelist()
        info = self.zip.getinfo(f"{names[0].split('/')[0] if names else ''}/{name}")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > most:
            msg = f"{name} is compressed or too large, which torch.export.save does not write"
            raise Refusal(msg)
        return self.zip.read(info)

    def _tensor(self, record: str, told: Mapping[str, Any]) -> torch.Tensor:
        """A tensor as it was, strides included; the same record at the same place is the same tensor."""
        meta = told["tensor_meta"]
        if meta["device"]["type"] != "cpu":
            msg = f"saved on {meta['device']['type']}; save it on the CPU"
            raise Refusal(msg)
        size, stride = (tuple(each["as_int"] for each in meta[key]) for key in ("sizes", "strides"))
        offset, is_parameter = meta["storage_offset"]["as_int"], told["is_param"]
        key = (record, meta["dtype"], size, stride, offset, is_parameter)
        if key not in self._tensors:
            flat = torch.empty(0, dtype=DTYPES[meta["dtype"]])
            if data := self._record(record, MAX_BYTES):  # copied, so aligned as kernels like it
                flat = torch.frombuffer(bytearray(data), dtype=flat.dtype).clone()
            made = flat.as_strided(size, stride, offset)
            self._tensors[key] = nn.Parameter(made, requires_grad=False) if is_parameter else made
        return self._tensors[key]
