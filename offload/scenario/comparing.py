"""What a scenario file may say of policies: which decides, which to compare, which to sweep with."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from offload.entities import Knowledge
from offload.planning.estimate import Estimate
from offload.scenario.fields import LongTime, Name, Table, Time, Written

MOST_POINTS = 100_000


class PolicyTable(Table):
    """A policy by its name, and its options: `offload policies NAME` prints those.

    Only described here; `policies.table` checks such tables, against the options of their policy.
    """

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(examples=["quickest"])]
    """Which policy: a name of `offload policies`, or "module:Class" for one of your own."""
    label: Annotated[Name, Field(examples=["quick"])] | None = None
    """What to call it in results; tells two of one name apart. Not given: its name."""
    knowledge: Knowledge | None = None
    """What it is shown: reports that have arrived, reports without age, or the true state of everything
    and the request's luck. Not given: what the policy says of itself, mostly "reported"."""
    estimate: Estimate | None = None
    """Lets it decide on estimates instead of the last reports: averages, averages that begin anew where
    a signal jumps, or draws from what is likely. Not given: reports as they are."""
    overhead: Annotated[Time, Field(examples=["1 ms"])] = 0.0
    """What deciding takes; added to each request."""
    time_limit: Annotated[LongTime, Field(examples=["5 ms"])] | None = None
    """A limit by the clock: a decision that takes longer ends the run with a message."""


Chosen = Annotated[dict[str, Any], Written(PolicyTable)]


class Compare(Table):
    """Which policies to compare: whole policy tables; `label` tells two of one name apart."""

    policies: Annotated[list[Chosen], Field(min_length=1, max_length=100)]
    """The policies to compare, one table each."""
    replications: Annotated[int, Field(ge=2, le=10_000)] = 10
    """How many independent runs each policy has."""


class Sweep(Table):
    """Which keys of the scenario to vary, how, and which policies to compare at each point.

    `vary` is a table of keys (in quotes, dots and all) with the values of each, or a list of tables, one
    a point. Values are a list, or a range like "1..8" or "50..400 Mbit/s". The policies are those of
    [compare], or that of [policy], unless it names its own; `points` is how many a hypercube has.
    """

    method: Literal["grid", "list", "latin-hypercube"] = "grid"
    """Which points: all combinations of the values, the k-th value of each key, or points drawn from the
    ranges (a Latin hypercube)."""
    vary: (
        Annotated[
            dict[str, Any],
            Field(min_length=1, max_length=100, examples=[{"nodes.hub.servers": "1..4"}]),
        ]
        | Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MOST_POINTS)]
    )
    """The keys to vary, in quotes, with the values of each: a list, or a range like "1..8" or "50..400
    Mbit/s". With `method = "list"` also a list of tables, one a point."""
    points: Annotated[int, Field(ge=1, le=MOST_POINTS, examples=[50])] | None = None
    """How many points a Latin hypercube has. Not given: 50."""
    policies: Annotated[list[Chosen], Field(max_length=100)] = []
    """The policies at each point. Not given: those of [compare], or else that of [policy]."""
    replications: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """How many independent runs each policy has at each point. Not given: as [compare] says, or 10."""
    measures: Annotated[list[str], Field(max_length=20, examples=[["on_time"]])] = []
    """What to show, like "on_time" or "latency_p95_s"."""

    @field_validator("vary", mode="before")
    @classmethod
    def _tables(cls, given: object) -> object:
        if isinstance(given, dict) or (
            isinstance(given, list) and all(isinstance(each, dict) for each in given)
        ):
            return given
        msg = (
            'write { "nodes.hub.servers" = "1..4", "links.wifi.up" = ["20 Mbit/s", "40 Mbit/s"] }, or'
            ' with method = "list" one such table a point'
        )
        raise ValueError(msg)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if isinstance(self.vary, list) and self.method != "list":
            msg = 'method: tables of keys are points one by one; write "list"'
            raise ValueError(msg)
        if self.points is not None and self.method != "latin-hypercube":
            msg = f"points: a {self.method} has as many as its values make; leave it out"
            raise ValueError(msg)
        return self
