"""What the testbed measured of links and machines: the file that scenarios mean by "measured"."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from offload.entities import OffloadError
from offload.shipped import DATA

FILE = DATA / "testbed" / "costs.json"
MAX_BYTES = 1_000_000

Figure = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]


class MeasuredCostsError(OffloadError):
    """A file of measured costs that is not there, or cannot be used."""


class _Part(BaseModel):
    # What else the file tells, details of the measurement above all, is for readers.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Hop(_Part):
    """What a message takes from one process to the next, beyond the link's rate and delay."""

    message_s: Figure
    per_byte_s: Figure


class Secured(_Part):
    """What a secured channel takes on top of that, and by how much messages get larger."""

    handshake_s: Figure
    message_s: Figure
    per_byte_s: Figure
    message_bytes: Figure
    bytes_per_byte: Figure


class Idle(_Part):
    """How much longer work takes after an idle gap; `offload.overheads.AfterIdle` has the formula."""

    slower: Figure
    within_s: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)]


class Together(_Part):
    """How much longer work takes while another process of the machine works too."""

    slower: Figure


class MeasuredCosts(_Part):
    """The whole file, format 1: SI units."""

    format: Literal[1]
    hardware: str
    known: Literal["measured"]
    source: str
    hop: Hop
    security: dict[str, Secured]
    after_idle: Idle
    co_location: Together
    decide_s: Figure
    details: dict[str, Any] = {}


def measured_costs() -> MeasuredCosts:
    """Return what was measured. Raises MeasuredCostsError, one line."""
    return read(FILE)


@lru_cache(maxsize=8)
def read(path: Path) -> MeasuredCosts:
    """Read a file of measured costs. Raises MeasuredCostsError, one line."""
    try:
        if path.stat().st_size > MAX_BYTES:
            msg = f"{path} has more than {MAX_BYTES / 1e6:g} MB, too many for measured costs"
            raise MeasuredCostsError(msg)
        return MeasuredCosts.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        msg = f"there is no file {path}: nothing was measured here"
        raise MeasuredCostsError(msg) from None
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise MeasuredCostsError(msg) from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        msg = f"{path} holds no measured costs of format 1: {f'{place}: ' * bool(place)}{first['msg']}"
        raise MeasuredCostsError(msg) from error
