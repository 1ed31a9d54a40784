"""The fixed costs of a real run that a simulated one is charged with."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, ValidationError

from offload.entities import OffloadError
from offload.shipped import DATA
from offload.testbed.validate.matrix import DELAY_S, WIRE_BPS, WIRE_S, Cell

SHIPPED = DATA / "testbed" / "costs.json"
MOST_BYTES = 1_000_000

Some = Annotated[float, Field(ge=0, lt=10, allow_inf_nan=False)]


class CostsError(OffloadError):
    """A file of measured costs that cannot be used."""


class Hop(BaseModel):
    """What a message takes beyond the rate and the delay of its link, in seconds, and seconds a byte."""

    message_s: Some = 0.0
    per_byte_s: Some = 0.0


class Costs(BaseModel):
    """Fixed costs as `offload testbed costs` measures them; without a file there are none."""

    hop: Hop = Hop()
    decide_s: Some = 0.0
    source: str = "no costs were measured"


def read_costs(path: Path | None = None) -> Costs:
    """Read measured costs: the shipped ones, if there are any, or those of a file. Raises CostsError."""
    if path is None:
        if not SHIPPED.is_file():
            return Costs()
        path = SHIPPED
    try:
        if path.stat().st_size > MOST_BYTES:
            msg = f"{path}: larger than {MOST_BYTES // 10**6} MB, which no costs are"
            raise CostsError(msg)
        return Costs.model_validate(json.loads(path.read_bytes()))
    except OSError as error:
        msg = f"{path}: {error.strerror}; give a file that offload testbed costs wrote"
        raise CostsError(msg) from error
    except (ValidationError, ValueError, RecursionError) as error:
        first = str(error).splitlines()[0]
        msg = f"{path}: {first}; give a file that offload testbed costs wrote"
        raise CostsError(msg) from error


def keys(costs: Costs, cell: Cell, *, calibrated: bool) -> Mapping[str, dict[str, Any]]:
    """Return the keys of a scenario's tables that charge for fixed costs.

    What was calibrated has slowness after idling and beside other processes in it already.
    """
    del calibrated
    hop = costs.hop

    def link(rate_bps: float, delay_s: float, *ways: str) -> dict[str, Any]:
        # A byte's seconds add to those that it occupies the link.
        slower_bps = 8 / (8 / rate_bps + hop.per_byte_s)
        return dict.fromkeys(ways, f"{slower_bps!r} bit/s") | {"delay": f"{delay_s + hop.message_s!r} s"}

    return {
        "cell": link(1e6 * cell.mbps, DELAY_S, "up", "down"),
        "wire": link(WIRE_BPS, WIRE_S, "rate"),
        "policy": {"overhead": f"{costs.decide_s!r} s"},
    }
