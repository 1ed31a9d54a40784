"""How a scenario says where its devices go: by a trace, by points, or by a model."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from offload.scenario.fields import Area, LongTime, Point, Range, Speed, Table, Time


class Trace(Table):
    """Positions from a file: points (CSV), or a recording of traffic in which vehicles enter and leave.

    The run begins at `start` of a recording's clock. `loop` repeats points; a recording must last.
    """

    trace: Annotated[str, Field(examples=["positions.csv"])]
    """A file of positions beside the scenario: CSV with the columns time, id, x and y, or a recording of
    SUMO's (floating-car data as XML, CSV or Parquet, also gzipped)."""
    loop: bool = False
    """Whether ways of a CSV file begin again at their end; a recording must last."""
    start: Annotated[Time, Field(examples=["300 s"])] = 0.0
    """The time of a recording's clock at which the run begins."""
    top_speed: Speed = 100.0
    """A recording in which something moves faster than this is refused."""


class Waypoints(Table):
    """The same way for all, each `headway` behind the last."""

    waypoints: Annotated[
        list[Point], Field(max_length=100_000, examples=[[["0 m", "0 m"], ["500 m", "0 m"]]])
    ]
    """The points that all devices pass, in order: pairs of x and y."""
    speed: Speed
    """How fast they go."""
    loop: bool = False
    """Whether they go on from the last point to the first; else they stop there."""
    headway: Annotated[Time, Field(examples=["2 s"])] = 0.0
    """How long after the last device the next one follows."""

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if len(set(self.waypoints)) < 2:
            msg = "waypoints: give two different points at least; devices that stand have at = [...]"
            raise ValueError(msg)
        return self


def _span(span: tuple[float, float]) -> tuple[float, float]:
    if span[0] > span[1]:
        msg = "give the least first, then the most"
        raise ValueError(msg)
    return span


class RandomWaypoint(Table):
    """Straight to random points of a rectangle, with pauses; speeds and pauses uniform in a span."""

    model: Literal["random-waypoint"]
    """Devices go straight to random points of an area."""
    area: Annotated[Area, Field(examples=[[["0 m", "0 m"], ["100 m", "50 m"]]])]
    """The rectangle that they stay in: its corners with the least and the largest x and y."""
    speed: Annotated[
        tuple[Speed, Speed], Field(strict=False, examples=[["1 m/s", "2 m/s"]]), AfterValidator(_span)
    ]
    """The least and the largest speed; each way has one, drawn uniformly."""
    pause: Annotated[
        tuple[Time, Time], Field(strict=False, examples=[["5 s", "30 s"]]), AfterValidator(_span)
    ] = (0.0, 0.0)
    """The shortest and the longest stop at a point, drawn uniformly."""


class Manhattan(Table):
    """A grid of streets along x and along y, `spacing` apart, with signals at the crossings."""

    model: Literal["manhattan"]
    """Vehicles drive in a grid of streets and turn at random."""
    streets: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1000)], Annotated[int, Field(ge=1, le=1000)]],
        Field(strict=False, examples=[[10, 10]]),
    ]
    """How many streets lie side by side along x (these run along y), and how many along y."""
    spacing: Range
    """From one street to the next."""
    speed: Speed
    """How fast vehicles drive."""
    cycle: LongTime = 60.0
    """The period of the signals at crossings."""

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if max(self.streets) < 2:
            msg = "streets: a single crossing; there must be two at least"
            raise ValueError(msg)
        return self


class Motorway(Table):
    """Both directions of a motorway along x, each lane with a speed of its own.

    Vehicles pass once, or with `wrap` again and again.
    """

    model: Literal["highway"]
    """Vehicles drive both ways along a motorway."""
    length: Annotated[Range, Field(examples=["5 km"])]
    """How long the motorway is."""
    lanes: Annotated[
        list[Speed], Field(min_length=1, max_length=20, examples=[["100 km/h", "130 km/h"]])
    ]
    """The speed of each lane, the same lanes in both directions."""
    wrap: bool = False
    """Whether vehicles come again at the other end, again and again; else they pass once."""


_MODELS = {"random-waypoint": RandomWaypoint, "manhattan": Manhattan, "highway": Motorway}


def _kind(given: Any) -> str | None:  # noqa: ANN401 - any TOML value
    """Tell which table it is, by the key that only this one has."""
    if not isinstance(given, dict):
        return None
    if "model" in given:
        model = given["model"]
        return f"[{_MODELS[model].__name__}]" if isinstance(model, str) and model in _MODELS else None
    return "[Waypoints]" if "waypoints" in given else "[Trace]" if "trace" in given else None


Walk = Waypoints | RandomWaypoint | Manhattan | Motorway
Mobility = Annotated[
    Annotated[Trace, Tag("[Trace]")]
    | Annotated[Waypoints, Tag("[Waypoints]")]
    | Annotated[RandomWaypoint, Tag("[RandomWaypoint]")]
    | Annotated[Manhattan, Tag("[Manhattan]")]
    | Annotated[Motorway, Tag("[Motorway]")],
    Discriminator(
        _kind,
        custom_error_type="no_such_mobility",
        custom_error_message='write trace = FILE, waypoints = [...] or model = "random-waypoint",'
        ' "manhattan" or "highway"',
    ),
]
