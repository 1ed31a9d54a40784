"""Columns of whole numbers as text in a page: small, and the same text for the same numbers."""

import base64
import zlib
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.int64]


def pack(columns: Iterable[Whole]) -> str:
    """Return columns of numbers from 0 on, one behind the other: in base64, deflated (RFC 1950).

    Each number is as many bytes as it needs, seven bits in each, the lowest first (LEB128, DWARF 4,
    section 7.6). Raises ValueError for a number below 0.
    """
    return base64.b64encode(zlib.compress(b"".join(map(_bytes, columns)), 9)).decode()


def signed(numbers: Whole) -> Whole:
    """Return numbers from 0 on in place of any: 0, -1, 1, -2, ... become 0, 1, 2, 3, ..."""
    return np.where(numbers < 0, -2 * numbers - 1, 2 * numbers)


def steps(seconds: npt.ArrayLike, step_s: float) -> Whole:
    """Return times as whole numbers of steps."""
    return np.rint(np.asarray(seconds, dtype=np.float64) / step_s).astype(np.int64)


def _bytes(numbers: Whole) -> bytes:
    if numbers.size and int(numbers.min()) < 0:
        msg = "a number below 0 has no such bytes"
        raise ValueError(msg)
    shifts = np.arange(0, 63, 7, dtype=np.int64)
    rest = numbers.astype(np.int64)[:, None] >> shifts  # (numbers, nine bytes at most)
    needed = rest > 0
    needed[:, 0] = True
    return ((rest & 127) | (rest > 127) << 7)[needed].astype(np.uint8).tobytes()
