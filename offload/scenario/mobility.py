"""How a scenario says where its devices go: by a trace, by points, or by a model."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from offload.scenario.fields import Area, LongTime, Point, Range, Speed, Table, Time


class Trace(Table):
    """Positions from a file: points (CSV), or a recording of traffic in which vehicles enter and leave.

    The run begins at `start` of a recording's clock. `loop` repeats points; a recording must last.
    """

    trace: str
    loop: bool = False
    start: Time = 0.0
    top_speed: Speed = 100.0


class Waypoints(Table):
    """The same way for all, each `headway` behind the last."""

    waypoints: Annotated[list[Point], Field(max_length=100_000)]
    speed: Speed
    loop: bool = False
    headway: Time = 0.0

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
    area: Area
    speed: Annotated[tuple[Speed, Speed], Field(strict=False), AfterValidator(_span)]
    pause: Annotated[tuple[Time, Time], Field(strict=False), AfterValidator(_span)] = (0.0, 0.0)


class Manhattan(Table):
    """A grid of streets along x and along y, `spacing` apart, with signals at the crossings."""

    model: Literal["manhattan"]
    streets: Annotated[
        tuple[Annotated[int, Field(ge=1, le=1000)], Annotated[int, Field(ge=1, le=1000)]],
        Field(strict=False),
    ]
    spacing: Range
    speed: Speed
    cycle: LongTime = 60.0

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
    length: Range
    lanes: Annotated[list[Speed], Field(min_length=1, max_length=20)]
    wrap: bool = False


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
