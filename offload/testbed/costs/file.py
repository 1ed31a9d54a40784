"""The file of measured costs, as the simulator reads it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from offload.analysis.files import write_json
from offload.testbed.costs.measuring import FORMAT, HARDWARE, Found


def as_json(found: Found) -> dict[str, Any]:
    """Return what the file holds: each figure at its key, and in `details` how it is known.

    A figure below zero, which chance may bring, is shipped as zero; `details` have what it was.
    """
    machine = found.details["machine"]
    told: dict[str, Any] = {
        "format": FORMAT,
        "hardware": HARDWARE,
        "known": "measured",
        "source": f"offload testbed costs; {machine['told']}; {machine['tls']}; {machine['date']}",
    }
    for path, figure in found.figures.items():
        *tables, key = path.split(".")
        place = told
        for table in tables:
            place = place.setdefault(table, {})
        place[key] = max(0.0, figure.value)
    return told | {
        "details": {"figures": {k: asdict(f) for k, f in found.figures.items()}, **found.details}
    }


def write(path: Path, found: Found) -> None:
    """Write the file, whole or not at all. Raises OSError."""
    write_json(path, as_json(found))


def table(found: Found) -> list[dict[str, object]]:
    """Return a row a figure, to be shown."""
    return [
        {
            "cost": path,
            "value": _shown(path, figure.value),
            "95 % interval": f"{_shown(path, figure.low)} to {_shown(path, figure.high)}",
            "runs": figure.runs,
            "set aside": f"{figure.excluded_share:.0%}",
        }
        for path, figure in found.figures.items()
    ]


def _shown(path: str, value: float) -> str:
    """Write a figure with the unit that its key names."""
    key = path.rpartition(".")[2]
    if key == "per_byte_s":
        return f"{value * 1e9:.3g} ns/B"
    if key.endswith("_s"):
        return f"{value * 1e6:.0f} us" if value < 1e-3 else f"{value * 1e3:.2f} ms"
    if key == "slower":
        return f"{value:.1%}"
    return f"{value:.1f} B" if key == "message_bytes" else f"{value:.5f} B/B"
