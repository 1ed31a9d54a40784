"""Files that are whole or absent, and JSON of numbers that may not be finite."""

import json
import math
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Yield a name aside, under which nothing stays if it is not renamed.

    Raises OSError with the reason and the file: polars hides it in a text, or loses it.
    """
    aside = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}")
    try:
        yield aside
    except (pl.exceptions.ComputeError, OSError) as error:
        told = re.search(r"\(os error (\d+)\)", str(error))
        number = getattr(error, "errno", None) or (int(told[1]) if told else _why_refused(aside))
        reason = os.strerror(number) if number else str(error)
        raise OSError(number, reason, str(path)) from error
    finally:
        with suppress(NotADirectoryError):  # nothing lies below a file
            aside.unlink(missing_ok=True)


def _why_refused(path: Path) -> int:
    """Return the number of the error with which a file is refused more room; 0 if it is not."""
    try:
        with path.open("ab") as file:
            file.write(bytes(1 << 16))
    except OSError as error:
        return error.errno or 0
    return 0


def write_json(path: Path, told: object) -> None:
    """Write aside and rename, so that the file is whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as aside:
        aside.write_text(json.dumps(to_json(told), indent=1) + "\n", encoding="utf-8")
        aside.replace(path)


def to_json(told: Any) -> Any:  # noqa: ANN401 - any nest of dicts and lists
    """Return the same with null for what is not a finite number."""
    if isinstance(told, dict):
        return {key: to_json(value) for key, value in told.items()}
    if isinstance(told, list | tuple):
        return [to_json(value) for value in told]
    if isinstance(told, float) and not math.isfinite(told):
        return None
    return told
