"""What the values of a scenario file may be: quantities with their units and bounds, names, tables.

The sentence below a field of a table is its meaning. `keys` reads it from here, for `offload check
--explain`, the JSON Schema and the page of all keys; running a scenario never looks at it.
"""

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from offload.entities import NAME_RULE, is_name
from offload.units import Quantity


def _unit(dimension: str) -> BeforeValidator:
    return BeforeValidator(Quantity(dimension).parse)


@dataclass(frozen=True, slots=True)
class Written:
    """Marks an annotation where files write something else: what this `annotation` says, or `words`."""

    annotation: Any
    words: tuple[str, ...] = ()


Time = Annotated[float, _unit("time"), Field(ge=0, le=1e8)]
LongTime = Annotated[float, _unit("time"), Field(gt=0, le=1e8)]
Rate = Annotated[float, _unit("rate"), Field(gt=0, le=1e15)]
ByteRate = Annotated[float, _unit("byte rate"), Field(gt=0, le=1e15)]
Size = Annotated[float, _unit("size"), Field(ge=0, le=1e12)]
SomeSize = Annotated[float, _unit("size"), Field(gt=0, le=1e15)]
Length = Annotated[float, _unit("length"), Field(ge=-1e7, le=1e7)]
Speed = Annotated[float, _unit("speed"), Field(gt=0, le=1e4)]
Range = Annotated[float, _unit("length"), Field(gt=0, le=1e7)]
Power = Annotated[float, _unit("power"), Field(ge=0, le=1e6)]
Energy = Annotated[float, _unit("energy"), Field(ge=1e-3, le=1e15)]
Price = Annotated[float, Field(ge=0, le=1e9, strict=False, allow_inf_nan=False)]
Frequency = Annotated[float, _unit("frequency"), Field(gt=0, le=1e12)]
Variation = Annotated[float, Field(gt=0, le=20, strict=False, allow_inf_nan=False)]
Confidence = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Point = Annotated[tuple[Length, Length], Field(strict=False)]


def _rectangle(corners: tuple[Point, Point]) -> tuple[Point, Point]:
    (left, low), (right, high) = corners
    if not (left < right and low < high):
        msg = "give the corner with the least x and y, then that with the largest"
        raise ValueError(msg)
    return corners


Area = Annotated[tuple[Point, Point], Field(strict=False), AfterValidator(_rectangle)]


def _warm_up(text: object) -> object:
    return text if text == "auto" else Quantity("time").parse(text)


WarmUp = Annotated[
    Annotated[float, Field(ge=0, le=1e8)] | Literal["auto"],
    BeforeValidator(_warm_up),
    Written(Time, ("auto",)),
]


def _name(text: str) -> str:
    if not is_name(text):
        raise ValueError(NAME_RULE)
    return text


NAMED = AfterValidator(_name)
Name = Annotated[str, NAMED]


class Table(BaseModel):
    """A TOML table; unknown keys are refused.

    Where a file gives a value instead of a table, that stands for its key `alone`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    alone: ClassVar[str | None] = None
