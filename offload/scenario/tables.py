"""What all tables of a scenario file are made of: quantities with units and bounds, names."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from offload.entities import NAME_RULE, is_name
from offload.units import Quantity


def unit(dimension: str) -> BeforeValidator:
    """Read text with a unit of this dimension."""
    return BeforeValidator(Quantity(dimension).parse)


Time = Annotated[float, unit("time"), Field(ge=0, le=1e8)]
LongTime = Annotated[float, unit("time"), Field(gt=0, le=1e8)]
Rate = Annotated[float, unit("rate"), Field(gt=0, le=1e15)]
Size = Annotated[float, unit("size"), Field(ge=0, le=1e12)]
Length = Annotated[float, unit("length"), Field(ge=-1e7, le=1e7)]
Range = Annotated[float, unit("length"), Field(gt=0, le=1e7)]
Power = Annotated[float, unit("power"), Field(ge=0, le=1e6)]
Frequency = Annotated[float, unit("frequency"), Field(gt=0, le=1e12)]
Variation = Annotated[float, Field(gt=0, le=20, strict=False, allow_inf_nan=False)]
Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Point = Annotated[tuple[Length, Length], Field(strict=False)]


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(NAME_RULE)
    return text


Name = Annotated[str, AfterValidator(_name)]


class Table(BaseModel):
    """A TOML table; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
